"""Commands for an operator of the service: API keys, and a copy of the champion for an image."""
