"""TensorFlow Serving's REST interface: the same paths, bodies, status codes and texts.

:mod:`.http` listens; :mod:`.api` turns a request into an answer; :mod:`.paths` reads paths; :mod:`.rapidjson` reads and
writes JSON as the library of that name does; :mod:`.tensors` and :mod:`.examples` know what stands in a body.
"""
