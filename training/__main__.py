"""``python -m training NAME``: the same as ``vitrine train NAME``."""

import sys

from serving.cli.main import app

if __name__ == "__main__":
    app(["train", *sys.argv[1:]], prog_name="python -m training")
