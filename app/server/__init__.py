"""What uvicorn runs: connections, the ASGI application and the batcher. Knows no model."""
