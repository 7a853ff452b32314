"""The gateway: HTTP in front of TensorFlow Serving's gRPC API, without TensorFlow in its process.

A request travels ``decode → validate → route → coalesce → predict → encode``; none of those modules knows HTTP. The
façades (``facades/``) put URLs on them, ``edge.py`` is the one place where errors become status codes.
"""
