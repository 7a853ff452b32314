"""The JSON of TensorFlow Serving's REST API, shared by the gateway and the embedded model server.

Source: tensorflow_serving/util/json_tensor.cc. ``requests`` and ``examples`` read what a client sends, ``responses``
writes what it gets. The readers raise the errors of ``errors``; each caller maps them to its own.
"""
