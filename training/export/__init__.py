"""From a fitted model to a version directory: signatures, SavedModel, ONNX export, warm-up requests and the check."""
