"""HTTP/1.1 for the gateway and the model server's REST port: uvicorn's httptools protocol with limits.

- ``protocol.py``: limits of size and time, see :class:`LimitedHttpProtocol`
- ``connection.py``, ``head_rules.py``: one request at a time, rejection of ambiguous requests
- ``joined_writes.py``, ``linger.py``: how responses are written and connections end
"""
