"""From a trained scikit-learn model to its double-precision ONNX graph. Runs no graph."""
