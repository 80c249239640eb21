"""Files that former versions of this repository wrote, for the tests of compatibility."""
