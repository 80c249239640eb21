"""Records of runs on disk, and what deletes old ones."""
