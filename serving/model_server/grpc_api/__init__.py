"""TensorFlow Serving's gRPC services: grpcio's asyncio server, the RPCs, TLS and the health service."""
