"""tensorflow_model_server's flags: the same names, forms and defaults (tensorflow_serving/model_servers/main.cc).

Each field of :class:`Flags` is a flag. Flags of the real server without effect here are accepted with a warning. An
unknown argument is reported and ignored, as in TensorFlow Serving.
"""

import dataclasses
import os
import typing
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from serving.model_server.errors import invalid_argument

#: Flags of the real server without effect here, and the types of their values.
WITHOUT_EFFECT: dict[str, type] = {
    "http_timeout_in_ms": int,
    "allow_version_labels": bool,
    "flush_filesystem_caches": bool,
    "num_unload_threads": int,
    "per_process_gpu_memory_fraction": float,
    "enforce_session_run_timeout": bool,
    "remove_unused_fields_from_bundle_metagraph": bool,
    "enable_profiler": bool,
    "platform_config_file": str,
    "tensorflow_session_config_file": str,
    "thread_pool_factory_config_file": str,
    "num_tflite_pools": int,
    "num_tflite_interpreters_per_pool": int,
    "mixed_precision": str,
    "skip_initialize_tpu": bool,
    "xla_cpu_compilation_enabled": bool,
    "xla_gpu_compilation_enabled": bool,
    "use_alts_credentials": bool,
    "use_tfrt": bool,
}


def cpus() -> int:
    """Return the number of processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _four_per_cpu() -> int:
    return 4 * cpus()


class FlagError(ValueError):
    """The value of a flag is missing or invalid."""


@dataclass(frozen=True)
class Flags:
    """The settings of one server."""

    # gRPC
    host: str = "0.0.0.0"  # nosec B104 # ours; TensorFlow Serving's default
    port: int = 8500
    grpc_socket_path: str = ""
    grpc_max_threads: int = field(default_factory=_four_per_cpu)  # concurrent calls; more are rejected
    grpc_channel_arguments: str = ""
    ssl_config_file: str = ""
    enable_grpc_healthcheck_service: bool = False
    enable_serialization_as_tensor_content: bool = False
    enable_signature_method_name_check: bool = False
    version: bool = False

    # REST
    rest_api_port: int = 0  # 0: no REST
    rest_api_num_threads: int = field(default_factory=_four_per_cpu)
    rest_api_timeout_in_ms: int = 30_000
    rest_api_enable_cors_support: bool = False
    rest_api_max_body_bytes: int = 32_000_000  # ours; also of a decompressed body

    # batching
    enable_batching: bool = False
    batching_parameters_file: str = ""
    enable_per_model_batching_parameters: bool = False

    # metrics
    monitoring_config_file: str = ""

    # models
    model_name: str = "default"
    model_base_path: str = ""
    model_config_file: str = ""
    model_config_file_poll_wait_seconds: float = 0
    file_system_poll_wait_seconds: float = 1
    allow_version_labels_for_unavailable_models: bool = False
    mount: tuple[str, ...] = ()  # ours: --mount=/models=DIR reads paths below /models from DIR

    # loading
    num_load_threads: int = 0
    max_num_load_retries: int = 5
    load_retry_interval_micros: int = 60_000_000

    # engines
    engine: Literal["auto", "onnx", "tensorflow"] = "auto"  # ours
    verify_key_file: str = ""  # ours: an Ed25519 public key (PEM); versions without its signature are not loaded
    saved_model_tags: str = "serve"
    prefer_tflite_model: bool = False
    enable_model_warmup: bool = True
    num_request_iterations_for_warmup: int = 0
    tensorflow_session_parallelism: int = 0
    tensorflow_intra_op_parallelism: int = 0
    tensorflow_inter_op_parallelism: int = 0

    @property
    def mounts(self) -> list[tuple[Path, Path]]:
        """Pairs of a path prefix and the directory that replaces it."""
        pairs = [entry.split("=", 1) for entry in self.mount]
        return [(Path(point), Path(directory).absolute()) for point, directory in pairs]


@dataclass(frozen=True)
class Parsed:
    """Flags, the given flags that have no effect, and unknown arguments."""

    flags: Flags
    without_effect: tuple[str, ...]
    unknown: tuple[str, ...] = ()


def parse(arguments: Sequence[str]) -> Parsed:
    """Parse a command line: ``--flag=value``, ``--flag value``, for booleans also ``--flag`` and ``--noflag``.

    Raises:
        FlagError: The value of a flag is missing or invalid.
        ServingError: INVALID_ARGUMENT for flags that exclude each other.
    """
    kinds: dict[str, Any] = {**WITHOUT_EFFECT, **typing.get_type_hints(Flags)}
    given: dict[str, Any] = {}
    unknown: list[str] = []
    rest = list(arguments)
    while rest:
        argument = rest.pop(0)
        name, equals, value = argument.removeprefix("--").partition("=")
        if not argument.startswith("--"):
            unknown.append(argument)
            continue
        if not equals and name.startswith("no") and kinds.get(name[2:]) is bool:
            name, value = name[2:], "false"
        elif name not in kinds:
            unknown.append(argument)
            continue
        elif not equals and kinds[name] is bool:
            value = "true"
        elif not equals:
            if not rest:
                raise FlagError(f"--{name} needs a value")
            value = rest.pop(0)
        converted = _convert(name, kinds[name], value)
        given[name] = (*given.get(name, ()), converted) if name == "mount" else converted
    flags = Flags(**{name: value for name, value in given.items() if name not in WITHOUT_EFFECT})
    if flags.port == 0 and not flags.grpc_socket_path:
        raise invalid_argument(
            "At least one of server_options.grpc_port or server_options.grpc_socket_path must be set."
        )
    threads = (flags.tensorflow_intra_op_parallelism, flags.tensorflow_inter_op_parallelism)
    if min(*threads, flags.tensorflow_session_parallelism) > 0:
        raise invalid_argument(
            "Either configure server_options.tensorflow_session_parallelism or "
            "(server_options.tensorflow_intra_op_parallelism, server_options.tensorflow_inter_op_parallelism) "
            "separately. You cannot configure all."
        )
    if given.get("batching_parameters_file") and not given.get("enable_batching"):
        raise invalid_argument(
            "server_options.batching_parameters_file is set without setting server_options.enable_batching to true."
        )
    return Parsed(flags, tuple(name for name in given if name in WITHOUT_EFFECT), tuple(unknown))


def usage() -> str:
    """Return the help text: all flags with their defaults."""
    lines = [f"\t--{name}={_shown(default)}" for name, default in dataclasses.asdict(Flags()).items()]
    lines += [f"\t--{name}\t(without effect)" for name in WITHOUT_EFFECT]
    return "usage: vitrine-model-server\nFlags:\n" + "\n".join(lines)


def _convert(name: str, kind: Any, value: str) -> Any:
    if kind is bool:
        if value.lower() in ("true", "1"):
            return True
        if value.lower() in ("false", "0"):
            return False
        raise FlagError(f"--{name} must be true or false, not {value!r}")
    if kind in (int, float):
        try:
            return kind(value)
        except ValueError:
            raise FlagError(f"--{name} must be a number, not {value!r}") from None
    if typing.get_origin(kind) is Literal and value not in typing.get_args(kind):
        raise FlagError(f"--{name} must be one of {', '.join(typing.get_args(kind))}, not {value!r}")
    if name == "mount" and not (value.startswith("/") and "=" in value):
        raise FlagError(f"--mount must be /POINT=DIRECTORY, not {value!r}")
    return value


def _shown(default: Any) -> str:
    return str(default).lower() if isinstance(default, bool) else str(default or "" if default != 0 else 0)
