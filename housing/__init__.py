"""The domain: California's block groups, the models of their house values, the registry's rules."""
