"""An inference engine in C for the registered ONNX graph, and the code that compiles graphs for it.

Without it a request costs 1.2 to 1.6 times as much, a worker twice the memory and the image 73 MB
more. onnxruntime is the fallback where it is not compiled, and the reference: the promotion gate
runs both on the test rows and refuses a version whose predictions differ.

Published compilers of trees did not give the same predictions: treelite kept thresholds as single
precision, which LightGBM's are not (dmlc/treelite#98, #115), and has had double ones since
(dmlc/treelite#95); tried here with tl2cgen, it was still wrong by up to $40,891 on some rows. They
compile trees only, not the steps before and after them.
"""
