"""From a fitted scikit-learn model to its double-precision ONNX graph. Runs no graph.

The published converters write trees with float32 thresholds, as ONNX knew no other before the third
version of ai.onnx.ml: `x < threshold` becomes `float(x) < float(threshold)`, and a row may end in
another leaf (onnx/onnx#3897 says so of LightGBM). Open are onnx/onnxmltools#708 (predictions of
`convert_lightgbm` differ from LightGBM's) and onnx/sklearn-onnx#1192 (the same of scikit-learn's
histogram boosting). onnxruntime has compared doubles since microsoft/onnxruntime#10821, whose
output is still a float; the operator TreeEnsemble of onnx/onnx#5874 has the input's type. That is
the operator written here.
"""
