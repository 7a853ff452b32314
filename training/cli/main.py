"""``python -m training.cli.main``: the same as ``vitrine``, kept for existing manifests and scripts."""

from serving.cli.main import app as app

if __name__ == "__main__":
    app(prog_name="vitrine")
