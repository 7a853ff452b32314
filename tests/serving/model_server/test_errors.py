"""Messages of errors as clients receive them."""

import pytest

from serving.model_server.errors import data_loss


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("saved_model.pb is missing", "saved_model.pb is missing"),
        ("ü" * 512, "ü" * 512),
        ("x" + "ü" * 512, "x" + "ü" * 511 + "...TRUNCATED"),
        ("the file \udcff is damaged", "the file ? is damaged"),
    ],
)
def test_message(text: str, message: str) -> None:
    assert data_loss(text).message == message
