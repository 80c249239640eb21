"""Prometheus metrics, counted by all workers in one shared file."""
