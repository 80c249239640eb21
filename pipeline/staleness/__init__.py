"""Which steps must run again and why: fingerprints, saved states and the files a step has opened."""
