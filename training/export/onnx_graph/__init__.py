"""Changes to ONNX graphs."""
