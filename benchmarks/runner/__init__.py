"""What the notebook runner and its reports cost."""
