"""Optional dependencies: the extra that installs each, and the sentence that names it."""

#: Name of the distribution. The packages are ``serving`` and ``training``, the command is ``vitrine``.
DISTRIBUTION = "vitrine-serving"

#: Extra of each optional package, by the name that is imported.
_EXTRAS = {
    "cryptography": "model-server",
    "google_crc32c": "model-server",
    "grpc": "model-server",
    "grpc_health": "oip-grpc",
    "grpc_reflection": "oip-grpc",
    "onnxruntime": "model-server",
    "pyarrow": "scoring",
    "h5py": "training",
    "keras": "training",
    "matplotlib": "training",
    "onnx": "training",
    "optuna": "training",
    "sqlalchemy": "training",
    "tensorflow": "training",
    "tf2onnx": "training",
    "yaml": "training",
    "redis": "redis",
    "opentelemetry": "otel",
    "fsspec": "object-store",
    "gcsfs": "object-store",
    "s3fs": "object-store",
    "psycopg": "postgresql",
    "mlflow": "mlflow",
    "ray": "ray",
}


def install(extra: str) -> str:
    """Return the command that installs an extra."""
    return f"pip install '{DISTRIBUTION}[{extra}]'"


def needs(what: str, package: str) -> str:
    """Return the sentence that ``what`` needs an optional package, with the command that installs it."""
    return f"{what} needs {package}, which is not installed: {install(_EXTRAS[package])}"


def named(what: str, error: ImportError) -> BaseException:
    """Return a SystemExit with the sentence of :func:`needs`; the error itself if no extra installs the package."""
    package = (error.name or "").partition(".")[0]
    return SystemExit(needs(what, package)) if package in _EXTRAS else error
