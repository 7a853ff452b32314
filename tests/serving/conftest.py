"""One S3-speaking server for all tests of exports in an object store; each takes a bucket of its own."""

from collections.abc import Iterator

import pytest

from tests import s3


@pytest.fixture(scope="session")
def s3_port() -> Iterator[int]:
    with s3.server() as port:
        yield port
