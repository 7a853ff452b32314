"""What has URLs: ``native.py`` and ``tensorflow.py`` for the hot paths (``inference.py`` tells them apart),
``catalogue.py``, ``operations.py`` and ``site.py`` on FastAPI."""
