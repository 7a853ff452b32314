"""The Open Inference Protocol: JSON, binary tensors, and the messages of its gRPC service."""
