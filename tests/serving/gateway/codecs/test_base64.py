"""Base64 in JSON, and long text in pieces."""

import base64 as standard
import os
from urllib.parse import quote

import pytest

from serving.gateway.codecs import base64
from serving.gateway.errors import BadDocument

DATA = os.urandom(700_001)
TEXT = standard.b64encode(DATA).decode()
HEAD = "data:image/png;base64,"


@pytest.mark.parametrize(
    "text",
    [
        TEXT,
        TEXT.rstrip("="),
        "\n".join(TEXT[start : start + 76] for start in range(0, len(TEXT), 76)),
        " " * 300_000 + TEXT + " " * 300_000,
        TEXT[:-1] + " " * 300_000 + TEXT[-1],
    ],
    ids=["plain", "without padding", "in lines", "white space around", "white space in the last four characters"],
)
def test_long_text_is_decoded_in_pieces(text: str) -> None:
    assert base64.decode(text) == DATA
    assert base64.data_url(HEAD + text) == DATA


def test_percent_escapes_at_the_end_of_a_piece() -> None:
    for start in range(3):
        assert base64.data_url(HEAD + quote(TEXT[4 * start :])) == DATA[3 * start :]
        assert base64.data_url(HEAD + "%0a" * (100_000 + start) + TEXT) == DATA


@pytest.mark.parametrize(
    "text",
    ["AA==" * 100_000, TEXT + "AAAA", "=" * 300_000, TEXT[:300_000] + "!" + TEXT[300_000:], TEXT[:500_000] + "ä"],
)
def test_errors_in_long_text(text: str) -> None:
    for read in (base64.decode, base64.data_url):
        with pytest.raises(BadDocument, match="is not base64 of the standard alphabet"):
            read(HEAD + text if read is base64.data_url else text)


def test_white_space_is_empty() -> None:
    assert base64.decode(" " * 600_000) == b""
