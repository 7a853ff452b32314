"""A gateway to compare scoring with."""

from tests.serving.gateway.conftest import models_root, served

__all__ = ["models_root", "served"]
