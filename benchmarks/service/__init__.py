"""Speed, durability and robustness of the running service."""
