"""The OpenAPI document, generated from the models that validate requests and responses."""
