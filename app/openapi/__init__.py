"""The OpenAPI 3.1 document, generated from the models that validate requests and responses."""
