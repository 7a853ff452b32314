"""Clients that other projects publish, each in an environment of its own, against the gateway and the model server."""
