"""The JSON of TensorFlow Serving's REST API, shared by the gateway and the embedded model server.

Source: tensorflow_serving/util/json_tensor.cc. ``requests`` and ``examples`` read a request's tensors, ``responses``
writes the answer. Readers raise the errors of ``errors``; each caller maps them to its own errors.
"""
