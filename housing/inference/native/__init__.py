"""An inference engine in C for the registered ONNX graph, and the code that compiles graphs for it.

Without it a request costs 1.2 to 1.6 times as much, a worker twice the memory and the image 73 MB
more. onnxruntime is the fallback where it is not compiled, and the reference: the promotion gate
runs both on the test rows and refuses a version whose predictions differ.
"""
