"""The module ``training.cli.main``, an alias of :mod:`serving.cli.main`.

Existing manifests and scripts use it.
"""

from serving.cli.main import app as app

if __name__ == "__main__":
    app(prog_name="vitrine")
