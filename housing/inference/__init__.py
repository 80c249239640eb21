"""What a prediction request needs, with numpy alone.

The served graph, neighbors, Shapley values, the training domain, price bands. No scikit-learn.
"""
