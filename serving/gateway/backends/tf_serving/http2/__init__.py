"""HTTP/2 (RFC 9113) as far as gRPC needs it, from both sides: the model server's and the gateway's.

Our own, since this is the hot path: with gRPC's library for asyncio most of the processor time that a small Predict
takes goes into changing threads and loops; here the bytes of a call are read, run and answered in one turn of the event
loop. HPACK is the ``hpack`` library's.

- ``frames.py``: how frames are written and read
- ``heads.py``: blocks of headers
- ``connection.py``: what both ends of a connection do: streams, flow control
- ``server.py``, ``client.py``: what each end does
"""
