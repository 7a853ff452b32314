"""onnxruntime without its telemetry: import it from here.

Its builds for Linux and macOS report to Microsoft from version 1.29 on, unless this variable is set before the library
is loaded (https://github.com/microsoft/onnxruntime/blob/main/docs/Privacy.md).
"""

import os

os.environ["ORT_DISABLE_TELEMETRY"] = "1"

import onnxruntime

__all__ = ["onnxruntime"]
