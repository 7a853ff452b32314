"""From a fitted model to a version directory: signatures, ONNX twin, card, warm-up requests, plots, and the check."""
