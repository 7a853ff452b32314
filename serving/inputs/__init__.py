"""Read the inputs of models from files and rows, for the gateway, bulk scoring and the client."""
