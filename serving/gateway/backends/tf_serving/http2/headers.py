"""Blocks of headers (HPACK, RFC 7541).

The same call has the same bytes again and again, and is decoded once.
"""

from collections.abc import Callable
from typing import Any, cast

import hpack

from serving.gateway.backends.tf_serving.http2 import frames
from serving.gateway.backends.tf_serving.http2.frames import ConnectionFailed

_MOST_CACHED = 64  # blocks
_LARGEST_CACHED = 1024  # bytes of a block


class HeadReader:
    """Decodes the blocks of headers of one connection, and caches what they mean."""

    def __init__(self, meaning: Callable[[list[tuple[str, str]]], Any], largest: int) -> None:
        """Make one.

        Args:
            meaning: what is wanted of a list of headers.
            largest: most bytes of all headers of a message.
        """
        self._meaning = meaning
        self._largest = largest
        self._decoder = hpack.Decoder(max_header_list_size=largest)
        self._known: dict[bytes, Any] = {}  # by block, as long as the decoder's table is the same

    def read(self, block: bytes) -> Any:
        """The meaning of a block.

        Raises:
            ConnectionFailed: the block cannot be read, or is too long.
        """
        head = self._known.get(block)
        return self._decode(block) if head is None else head

    def _decode(self, block: bytes) -> Any:
        table = self._decoder.header_table.dynamic_entries
        before = len(table), table[0] if table else None
        try:
            pairs = cast(list[tuple[bytes, bytes]], self._decoder.decode(block, raw=True))
        except hpack.OversizedHeaderListError:
            raise ConnectionFailed(frames.ENHANCE_YOUR_CALM, f"headers of more than {self._largest} bytes") from None
        except hpack.HPACKError as error:
            raise ConnectionFailed(frames.COMPRESSION_ERROR, str(error)) from None
        head = self._meaning([(name.decode(errors="replace"), value.decode(errors="replace")) for name, value in pairs])
        table = self._decoder.header_table.dynamic_entries
        updates = block[:1] and 0x20 <= block[0] < 0x40  # the size of the table, which is to be read each time
        same = not updates and before[0] == len(table) and (not table or before[1] is table[0])
        if not same or len(self._known) >= _MOST_CACHED:
            self._known.clear()
        if same and len(block) <= _LARGEST_CACHED:
            self._known[block] = head
        return head
