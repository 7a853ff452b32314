"""A message is limited by its elements before it is decoded."""

import time
from pathlib import Path

import grpc
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.model_server.grpc_api.message_limits import MAX_ELEMENTS, check_elements
from serving.tfs_api import messages
from serving.tfs_api.methods import PREDICT
from serving.tfs_api.status_codes import Code
from tests.serving.model_server import versions
from tests.serving.model_server.servers import serving
from tests.serving.model_server.statuses import raises_status

DESCRIPTOR = messages.PredictRequest.DESCRIPTOR


def strings(count: int) -> bytes:
    """A PredictRequest with empty strings, two bytes each."""
    request = versions.predict_request("line", "describe")
    request.inputs["query"].dtype = messages.DT_STRING
    request.inputs["query"].string_val.extend([b""] * count)
    return request.SerializeToString()


def test_the_number_of_strings_is_limited() -> None:
    check_elements(strings(MAX_ELEMENTS - 100), DESCRIPTOR)
    with raises_status(Code.RESOURCE_EXHAUSTED, match="the message has more than 1048576 elements; send fewer rows"):
        check_elements(strings(MAX_ELEMENTS + 1), DESCRIPTOR)


def test_a_large_array_is_one_element() -> None:
    check_elements(versions.predict_request("line", x=np.zeros((1_000_000, 3))).SerializeToString(), DESCRIPTOR)


@given(st.binary(max_size=60))
def test_malformed_bytes_are_left_to_the_decoder(data: bytes) -> None:
    check_elements(data, DESCRIPTOR)


def test_message_of_many_strings_is_rejected_without_decoding(tmp_path: Path) -> None:
    versions.write(tmp_path / "line" / "1")
    with serving(f"--model_base_path={tmp_path / 'line'}", "--model_name=line") as server:
        server.client.predict("line", x=np.zeros((1, 3), np.float32))
        call = server.client.channel.unary_unary(PREDICT).future(strings(20_000_000), timeout=60)
        longest = 0.0
        while not call.done():
            started = time.perf_counter()
            server.client.predict("line", x=np.zeros((1, 3), np.float32))
            longest = max(longest, time.perf_counter() - started)
        with pytest.raises(grpc.RpcError, match="elements"):
            call.result()
        status = Path(f"/proc/{server.program.process.pid}/status").read_text()
    peak_kilobytes = int(status.split("VmHWM:")[1].split()[0])
    assert peak_kilobytes < 300_000
    assert longest < 2
