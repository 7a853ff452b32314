"""SDKs of other projects, each in its own environment, with the gateway and the model server."""
