"""Import onnxruntime from here, without its telemetry.

From version 1.29 on, its builds for Linux and macOS report to Microsoft, unless this variable is set before the library
loads (https://github.com/microsoft/onnxruntime/blob/main/docs/Privacy.md).
"""

import os

os.environ["ORT_DISABLE_TELEMETRY"] = "1"

import onnxruntime

__all__ = ["onnxruntime"]
