"""Inference in this process: no port, no gRPC, no TensorFlow."""

import asyncio
import contextlib
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest

from serving.artifacts.models_config import ModelConfig
from serving.model_server import startup
from serving.model_server.core.version_policy import VersionState
from serving.model_server.flags import Flags
from serving.model_server.inference.inference import Inference
from serving.tfs_api.status_codes import Code
from tests.programs import REPOSITORY
from tests.serving.model_server import versions
from tests.serving.model_server.servers import configure
from tests.serving.model_server.statuses import raises_status

X = np.arange(6, dtype=np.float32).reshape(2, 3)


@contextlib.asynccontextmanager
async def loaded(settings: Flags) -> AsyncIterator[Inference]:
    inference = startup.build(settings)
    try:
        await startup.load(settings, inference)
        while any(version.state is not VersionState.AVAILABLE for version in inference.status("line")):
            await inference.core.changed()
        yield inference
    finally:
        await inference.close()


@pytest.fixture
def settings(tmp_path: Path) -> Flags:
    for number in (3, 5):
        versions.write(tmp_path / "line" / str(number), offset=number)
    config = configure(tmp_path, [ModelConfig("line", "/models/line", specific=(3, 5), labels={"stable": 3})])
    return Flags(
        engine="onnx",
        mount=(f"/models={tmp_path}",),
        model_config_file=str(config),
        file_system_poll_wait_seconds=0.05,
        allow_version_labels_for_unavailable_models=True,
    )


async def test_arrays_in_and_arrays_out(settings: Flags) -> None:
    async with loaded(settings) as inference:
        newest = await inference.predict("line", {"x": X})
        assert (newest.model, newest.version, newest.signature) == ("line", 5, "serving_default")
        np.testing.assert_array_equal(newest.arrays["y"], X + 5)
        labelled = await inference.predict("line", {"x": X}, label="stable")
        np.testing.assert_array_equal(labelled.arrays["y"], X + 3)
        shift = np.ones((2, 1), np.int32)
        chosen = await inference.predict("line", {"x": X, "shift": shift}, signature="both", version=3, outputs=["z"])
        assert list(chosen.arrays) == ["z"]
        np.testing.assert_array_equal(chosen.arrays["z"], X + 4)


async def test_signatures_and_status(settings: Flags) -> None:
    async with loaded(settings) as inference:
        signatures = inference.signatures("line", version=3)
        assert signatures.version == 3
        assert signatures.by_name["serving_default"].inputs["x"].shape == (None, 3)
        states = [(version.number, version.state) for version in inference.status("line")]
        assert states == [(5, VersionState.AVAILABLE), (3, VersionState.AVAILABLE)]
        with raises_status(Code.NOT_FOUND, match="Could not find version 4 of model line"):
            inference.status("line", 4)


async def test_errors_have_tensorflow_servings_codes(settings: Flags) -> None:
    async with loaded(settings) as inference:
        with raises_status(Code.NOT_FOUND, match=r"Servable not found for request: Latest\(other\)"):
            await inference.predict("other", {"x": X})
        with raises_status(Code.INVALID_ARGUMENT, match="Expects arg.0. to be float but double is provided"):
            await inference.predict("line", {"x": X.astype(float)})
        with raises_status(Code.INVALID_ARGUMENT, match=r"input x must have shape \[\?, 3\] but has shape \[2, 2\]"):
            await inference.predict("line", {"x": X[:, :2]})
        with raises_status(Code.INVALID_ARGUMENT, match="of type datetime64"):
            await inference.predict("line", {"x": X.astype("datetime64[s]")})
        with raises_status(Code.INVALID_ARGUMENT, match="No regression inputs found"):
            await inference.regress("line", [b""])


async def test_the_onnx_engine_rejects_what_needs_tensorflow(settings: Flags, tmp_path: Path) -> None:
    (versions.write(tmp_path / "saved" / "1") / "assets.extra" / "model.onnx").unlink()
    (tmp_path / "saved" / "1" / "assets.extra" / "MANIFEST.sha256").unlink()
    async with loaded(settings) as inference:
        with raises_status(Code.UNIMPLEMENTED, match="the ONNX export lacks this signature"):
            await inference.predict("line", {"text": np.array([b"a"], object)}, signature="slow")
    alone = Flags(engine="onnx", model_base_path=str(tmp_path / "saved"))
    inference = startup.build(alone)
    with raises_status(Code.UNKNOWN, match="UNIMPLEMENTED: the version has no ONNX export"):
        async with asyncio.timeout(30):  # five retries would take five minutes
            await startup.load(alone, inference)
    assert [version.state for version in inference.status("default")] == [VersionState.END]
    await inference.close()


async def test_a_cancelled_call_that_has_not_started_is_dropped(settings: Flags) -> None:
    ran: list[int] = []
    release = threading.Event()
    async with loaded(settings) as inference:
        blockers = [asyncio.create_task(inference.offload(release.wait)) for _ in range(64)]
        call = asyncio.create_task(inference.offload(lambda: ran.append(1)))
        await asyncio.sleep(0)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        release.set()
        await asyncio.gather(*blockers)
    assert not ran


def test_neither_grpc_nor_tensorflow_is_imported(settings: Flags) -> None:
    program = f"""
import asyncio, sys, numpy
from serving.model_server import startup
from serving.model_server.flags import Flags

async def main():
    settings = {settings!r}
    inference = startup.build(settings)
    await startup.load(settings, inference)
    print((await inference.predict("line", {{"x": numpy.zeros((1, 3), numpy.float32)}})).arrays["y"].shape)
    await inference.close()

asyncio.run(main())
found = [name for name in ("grpc", "uvicorn", "serving.gateway") if name in sys.modules]
print(found + ["tensorflow"] * hasattr(sys.modules.get("tensorflow"), "__version__"))
"""
    ended = subprocess.run([sys.executable, "-c", program], cwd=REPOSITORY, capture_output=True, text=True, timeout=120)
    assert ended.stdout.split("\n")[:2] == ["(1, 3)", "[]"], ended.stderr
