"""Back ends of the gateway: the model server as a protocol, and its implementations."""
