"""Back end for TensorFlow Serving's gRPC API."""
