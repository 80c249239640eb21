"""Recording, inside a kernel, which files and modules its code looks for."""
