"""Model serving: the gateway, the embedded model server, and the contracts they share with training."""

__version__ = "0.1.0"
