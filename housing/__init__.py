"""The domain: California's block groups, models of their house values, and their registry."""
