"""What has URLs: ``native.py``, ``tensorflow.py``, ``inference_protocol.py``, ``openai.py``, ``timeseries.py`` for the
hot paths (``inference.py`` tells which); ``catalogue.py``, ``drift.py``, ``operations.py``, ``site.py`` in FastAPI.
"""
