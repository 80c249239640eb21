"""Prometheus metrics, counted across worker processes."""
