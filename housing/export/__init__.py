"""From a fitted scikit-learn model to its double-precision ONNX graph. Runs no graph."""
