"""Message classes of TensorFlow Serving's API, by their short names: ``messages.PredictRequest``.

The classes come from the .proto files in ``proto/``, compiled into ``messages.binpb`` (``make protos``). A private
descriptor pool holds them, so TensorFlow's own classes of the same full names can exist in the same process. Exchange
messages with those as serialized bytes. ``messages.pyi`` lists every class with its fields.
"""

from pathlib import Path

from serving.tfs_api.descriptor_set import load

DESCRIPTOR_SET = Path(__file__).with_name("messages.binpb").read_bytes()

globals().update(load(DESCRIPTOR_SET))
