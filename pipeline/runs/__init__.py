"""The records of runs on disk, the commit they ran from, and the deletion of old runs."""
