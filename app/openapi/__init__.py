"""The OpenAPI 3.1 document, made from the models that validate requests and responses."""
