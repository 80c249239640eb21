"""Pictures and maps for notebooks and reports. Each function returns a figure or HTML and computes no metric."""
