"""What answers one request with numpy alone: the served graph, neighbors, Shapley values, the training domain."""
