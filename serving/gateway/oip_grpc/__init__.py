"""The Open Inference Protocol over gRPC: message classes, and grpcio's server in front of the gateway."""
