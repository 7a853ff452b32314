"""Heads that another server might read differently (RFC 9112): wrong by ``Host``, ``Transfer-Encoding`` or version."""

import re

_HOST = re.compile(rb"[A-Za-z0-9._~!$&'()*+,;=:%\[\]-]*")


def head_error(version: str, hosts: int, host: bytes, coding: bytes | None) -> str:
    """Return what is wrong with a head; empty if nothing is.

    Args:
        version: HTTP version.
        hosts: number of Host headers.
        host: the last of them.
        coding: Transfer-Encoding of a request without Content-Length.
    """
    if version not in ("1.1", "1.0"):
        return f"the request is HTTP/{version}; send HTTP/1.1"
    if hosts != 1 and (hosts or version == "1.1"):
        return f"the request has {hosts} Host headers; send one"
    if not _HOST.fullmatch(host):
        return "the Host header is not a host name with an optional port"
    if coding is not None and (coding.lower() != b"chunked" or version == "1.0"):
        value = coding.decode("latin-1")[:40]
        return f"Transfer-Encoding in HTTP/{version} is {value!r}; send chunked, in HTTP/1.1"
    return ""
