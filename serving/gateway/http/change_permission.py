"""Permission to change the versions of a model by HTTP: the caller's key, Host and Origin."""

from collections.abc import Mapping
from urllib.parse import urlsplit

from serving.gateway.errors import Forbidden, shown
from serving.gateway.http.keys_file import ADMIN, Key
from serving.gateway.settings import Settings, is_loopback


class ChangePermission:
    """Checks each request that changes a version.

    A browser sends its page's Origin. Host shows a name that an attacker has pointed at this machine (DNS rebinding).
    """

    def __init__(self, settings: Settings) -> None:
        self._keys = settings.keys is not None
        self._keyless = settings.admin
        self._origins = frozenset(settings.origins) - {"*"}

    def check(self, headers: Mapping[str, str], key: Key | None, model: str) -> None:
        """Check a request.

        Raises:
            Forbidden: the caller may not change versions of the model.
        """
        host, origin = headers.get("host", ""), headers.get("origin")
        if self._keys:
            _check_key(key, model)
        elif not self._keyless:
            raise Forbidden(
                "this gateway lets nobody change versions: start it with --admin, or with keys of which one has the "
                "verb admin"
            )
        elif not is_loopback(_hostname(host)):
            raise Forbidden(f"without keys, Host must be localhost or a loopback address, not {shown(host)!r}")
        own = bool(host) and origin is not None and origin.partition("://")[2] == host
        if origin is not None and not own and origin not in self._origins:
            raise Forbidden(
                f"a page of {shown(origin)} may not change versions: open the gateway's own page, or add the origin to "
                "the setting cors_origins"
            )


def _check_key(key: Key | None, model: str) -> None:
    if key is None or not key.allows(model, ADMIN):
        name = f"key {key.id}" if key is not None else "the request"
        raise Forbidden(
            f"{name} may not change versions of {shown(model)}: create a key with vitrine keys create NAME --verb admin"
        )


def _hostname(host: str) -> str:
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""
