"""The gateway: HTTP in front of TensorFlow Serving or of models in this process, without TensorFlow.

A request passes ``http`` (authentication, limits), ``protocols`` (one per API), ``codecs`` and ``kinds`` (bytes to
arrays), ``inference`` (validation, dynamic batching) and ``backends`` (the model server). None but ``http`` and
``protocols`` knows HTTP; ``http/middleware.py`` is the one module that turns errors into status codes.
"""
