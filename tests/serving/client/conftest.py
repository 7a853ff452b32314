"""The gateway's fixtures: a gateway and a model server with the models of ``tests/serving/gateway``."""

from tests.serving.gateway.conftest import models_root, served

__all__ = ["models_root", "served"]
