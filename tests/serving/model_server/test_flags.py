"""The flags, in all their forms."""

from pathlib import Path

import pytest

from serving.model_server.flags import WITHOUT_EFFECT, FlagError, Flags, cpus, parse, usage
from serving.tfs_api.status_codes import Code
from tests.serving.model_server.statuses import raises_status


def test_the_defaults_are_tensorflow_servings() -> None:
    flags = parse([]).flags
    assert flags == Flags()
    assert (flags.port, flags.model_name, flags.file_system_poll_wait_seconds) == (8500, "default", 1)
    assert (flags.max_num_load_retries, flags.load_retry_interval_micros) == (5, 60_000_000)
    assert flags.grpc_max_threads == flags.rest_api_num_threads == 4 * cpus()
    assert flags.enable_model_warmup
    assert not flags.allow_version_labels_for_unavailable_models


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--port=1234"], Flags(port=1234)),
        (["--port", "1234", "--model_name", "m"], Flags(port=1234, model_name="m")),
        (["--port=1", "--port=2"], Flags(port=2)),
        (["--model_base_path=/a=b c"], Flags(model_base_path="/a=b c")),
        (["--enable_model_warmup=false"], Flags(enable_model_warmup=False)),
        (["--enable_model_warmup=0"], Flags(enable_model_warmup=False)),
        (["--noenable_model_warmup"], Flags(enable_model_warmup=False)),
        (["--enable_serialization_as_tensor_content"], Flags(enable_serialization_as_tensor_content=True)),
        (["--enable_serialization_as_tensor_content=True"], Flags(enable_serialization_as_tensor_content=True)),
        (["--file_system_poll_wait_seconds=0.25"], Flags(file_system_poll_wait_seconds=0.25)),
        (["--engine", "tensorflow"], Flags(engine="tensorflow")),
        (["--mount=/a=/b", "--mount=/c=/d"], Flags(mount=("/a=/b", "/c=/d"))),
    ],
)
def test_forms(arguments: list[str], expected: Flags) -> None:
    assert parse(arguments).flags == expected


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--port"], "--port needs a value"),
        (["--port=http"], "--port must be a number, not 'http'"),
        (["--enable_model_warmup=maybe"], "--enable_model_warmup must be true or false, not 'maybe'"),
        (["--engine=tpu"], "--engine must be one of auto, onnx, tensorflow, not 'tpu'"),
        (["--mount=exports"], "--mount must be /POINT=DIRECTORY, not 'exports'"),
    ],
)
def test_rejected(arguments: list[str], message: str) -> None:
    with pytest.raises(FlagError, match=message.replace("(", r"\(")):
        parse(arguments)


@pytest.mark.parametrize("argument", ["--nosuch", "--nosuch=1", "-port=1", "8500", "--noport"])
def test_unknown_arguments_are_reported_and_ignored(argument: str) -> None:
    parsed = parse(["--port=1", argument, "--model_name=m"])
    assert (parsed.unknown, parsed.flags) == ((argument,), Flags(port=1, model_name="m"))


def test_flags_that_exclude_each_other() -> None:
    with raises_status(Code.INVALID_ARGUMENT, match="batching_parameters_file is set without setting"):
        parse(["--batching_parameters_file=f"])
    assert parse(["--batching_parameters_file=f", "--enable_batching"]).flags.enable_batching
    with raises_status(Code.INVALID_ARGUMENT, match="At least one of server_options"):
        parse(["--port=0"])
    assert parse(["--port=0", "--grpc_socket_path=/s"]).flags.port == 0


def test_threads_are_set_once() -> None:
    kinds = ("session", "intra_op", "inter_op")
    with raises_status(Code.INVALID_ARGUMENT, match="You cannot configure all"):
        parse([f"--tensorflow_{kind}_parallelism=2" for kind in kinds])
    assert (
        parse([f"--tensorflow_{kind}_parallelism=2" for kind in kinds[1:]]).flags.tensorflow_intra_op_parallelism == 2
    )


def test_flags_without_effect_are_accepted_and_listed() -> None:
    parsed = parse(["--mixed_precision=x", "--noenable_profiler", "--per_process_gpu_memory_fraction", "0.5"])
    assert parsed.without_effect == ("mixed_precision", "enable_profiler", "per_process_gpu_memory_fraction")
    assert parsed.flags == Flags()


def test_mounts() -> None:
    assert Flags(mount=("/models=/data",)).mounts == [(Path("/models"), Path("/data"))]
    assert Flags(mount=("/models=exports",)).mounts == [(Path("/models"), Path.cwd() / "exports")]


def test_the_usage_names_every_flag() -> None:
    text = usage()
    assert all(f"--{name}" in text for name in [*Flags.__dataclass_fields__, *WITHOUT_EFFECT])
