"""TensorFlow Serving's REST interface: the same paths, bodies, status codes and messages.

``http`` listens and reads bodies. ``api`` answers a request. ``paths``, ``documents``, ``tensors`` and ``examples``
read its parts.
"""
