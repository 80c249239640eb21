"""What uvicorn runs: the connections, the ASGI application and the batchers. Knows no model."""
