"""Decide which steps must run and why: fingerprints, saved states, the files each step opened."""
