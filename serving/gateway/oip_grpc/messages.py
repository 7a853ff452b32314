"""Message classes of the Open Inference Protocol, by their short names: ``messages.ModelInferRequest``.

The classes come from the .proto file in ``proto/``, compiled into ``messages.binpb`` (``make protos``). A private
descriptor pool holds them, so those of Triton's and KServe's clients can exist in the same process. ``messages.pyi``
lists every class with its fields.
"""

from pathlib import Path

from serving.tfs_api.descriptor_set import load

DESCRIPTOR_SET = Path(__file__).with_name("messages.binpb").read_bytes()

globals().update(load(DESCRIPTOR_SET))
