"""The gateway's own fixtures: a gateway in front of a model server with the models of ``tests/serving/gateway``."""

from tests.serving.gateway.conftest import models_root, served

__all__ = ["models_root", "served"]
