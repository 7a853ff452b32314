"""The gateway: HTTP in front of TensorFlow Serving or of models in this process, without TensorFlow.

A request passes ``http`` (authentication, limits), ``protocols`` (one per API), ``codecs`` and ``kinds`` (bytes to
arrays), ``inference`` (validation, dynamic batching) and ``backends`` (the model server). Only ``http`` and
``protocols`` know HTTP. ``http/error_responses.py`` alone turns errors into status codes.
"""
