"""Commands for an operator: manage API keys, and copy the champion into an image."""
