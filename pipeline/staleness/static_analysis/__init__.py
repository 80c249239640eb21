"""What a notebook imports, read without running it: our modules, docstrings, installed packages."""
