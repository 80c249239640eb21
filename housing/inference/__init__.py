"""What a prediction request needs, with numpy, protobuf and pykdtree.

The served graph, neighbors, Shapley values, the training domain, price bands. No scikit-learn.
"""
