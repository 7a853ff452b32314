"""The old name of ``python -m serving.artifacts.sync``."""

import runpy

if __name__ == "__main__":
    runpy.run_module("serving.artifacts.sync", run_name="__main__", alter_sys=True)
