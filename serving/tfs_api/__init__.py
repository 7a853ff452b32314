"""TensorFlow Serving's API: messages, tensors, gRPC methods and status codes, and the JSON of its REST interface."""
