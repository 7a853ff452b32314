"""Which labels of a new configuration are assigned."""

import pytest

from serving.artifacts.models_config import ModelConfig
from serving.model_server.core.config_checks import Labels, check_labels
from serving.tfs_api.status_codes import Code
from tests.serving.model_server.statuses import raises_status


def check(stable: int, current: Labels | None, *, allow_new: bool) -> tuple[Labels, list[str]]:
    """The labels of model m, whose version 1 is available."""
    models = {"m": ModelConfig("m", "/models/m", labels={"stable": stable})}
    labels, early = check_labels(models, current, lambda name, version: version == 1, allow_new=allow_new)
    return labels, [str(error) for error in early]


@pytest.mark.parametrize(
    ("stable", "current", "allow_new"),
    [
        (1, None, False),
        (1, {"m": {"stable": 2}}, False),
        (2, None, True),
        (2, {"m": {}}, True),
        (2, {"m": {"stable": 2}}, True),
    ],
)
def test_assigned(stable: int, current: Labels | None, allow_new: bool) -> None:
    assert check(stable, current, allow_new=allow_new) == ({"m": {"stable": stable}}, [])


@pytest.mark.parametrize(
    ("current", "allow_new"),
    [(None, False), ({"m": {}}, False), ({"m": {"stable": 2}}, False), ({"m": {"stable": 1}}, True)],
)
def test_rejected(current: Labels | None, allow_new: bool) -> None:
    with raises_status(Code.FAILED_PRECONDITION, match="Request to assign label to version 2 of model m, which is not"):
        check(2, current, allow_new=allow_new)


def test_a_label_of_a_new_model_is_early() -> None:
    labels, (error,) = check(2, {}, allow_new=True)
    assert labels == {"m": {}}
    assert error.startswith("Request to assign label to version 2 of model m")
