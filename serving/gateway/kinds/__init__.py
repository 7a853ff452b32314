"""The kinds of models that the gateway knows, one module each."""

from serving.gateway.kinds.base import Kind
from serving.gateway.kinds.image import ImageKind
from serving.gateway.kinds.series import SeriesKind
from serving.gateway.kinds.signal import SignalKind
from serving.gateway.kinds.table import TableKind

#: In the order in which the OpenAPI document shows them.
KINDS: tuple[Kind, ...] = (ImageKind(), SeriesKind(), TableKind(), SignalKind())
