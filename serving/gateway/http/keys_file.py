"""API keys: ``keys.json`` contains their hashes, never the keys.

A key is ``vt_<id>_<secret>``. The secret has 256 random bits, so a plain SHA-256 of the whole key is enough: a slow
hash helps only against guessing. The id finds the entry, and the hashes are compared in constant time. The file is
replaced as a whole; the gateway reads it again when it changes.
"""

import contextlib
import fcntl
import hashlib
import hmac
import secrets
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from serving.artifacts.atomic_write import remove_leftovers, write_atomically

#: The verb of promote, canary and rollback. A key has it only if it names it.
ADMIN = "admin"
#: Verbs that a key can be restricted to; the gateway maps other verbs to these.
SCOPES = ("predict", "embed", "neighbours", "explain", "forecast", ADMIN)


class KeysError(ValueError):
    """The file is not a valid keys.json, or an edit is not possible."""


def check_rate(text: str) -> str:
    """Validate a rate.

    Raises:
        ValueError: not exactly one rate of the ``limits`` library, or a rate of 0.
    """
    import limits  # takes a tenth of a second, only for gateways with rates

    try:
        (rate,) = limits.parse_many(text)
        if not rate.amount:
            raise ValueError
    except ValueError:
        raise ValueError(f"{text!r} is not a rate; write it like 10/second or 1000 per 5 minutes") from None
    return text


#: As the ``limits`` library reads it: ``10/second``, ``1000 per 5 minutes``.
Rate = Annotated[str, AfterValidator(check_rate)]


class Key(BaseModel):
    """One entry of the file.

    Attributes:
        models: models that the key may use; empty for all.
        verbs: verbs that it may use; empty for all but ``admin``.
        rate: replaces the gateway's own rate.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = Field(pattern=r"^[0-9a-f]{8}$")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$", description="of the whole key")
    name: str = Field(min_length=1, description="who uses it")
    models: frozenset[str] = frozenset()
    verbs: frozenset[str] = frozenset()
    rate: Rate | None = None
    created: AwareDatetime
    expires: AwareDatetime | None = None

    def reaches(self, model: str) -> bool:
        """Whether the key may use a model."""
        return not self.models or model in self.models

    def allows(self, model: str, verb: str) -> bool:
        """Whether the key may use a verb of a model."""
        return self.reaches(model) and (verb in self.verbs or (not self.verbs and verb != ADMIN))


Keys = Mapping[str, Key]
_FILE = TypeAdapter(tuple[Key, ...])


def parse(text: str | bytes, origin: str = "keys.json") -> dict[str, Key]:
    """Parse a keys file.

    Returns:
        Keys by id.

    Raises:
        KeysError: not a JSON list of keys, or an id occurs twice. The message contains no hash.
    """
    try:
        keys = _FILE.validate_json(text)
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        where = ".".join(map(str, first["loc"])) or "the whole file"
        raise KeysError(f"{origin}: {where}: {first['msg']}") from None
    by_id = {key.id: key for key in keys}
    if len(by_id) < len(keys):
        raise KeysError(f"{origin}: an id occurs twice")
    return by_id


def find(keys: Keys, presented: str, now: datetime) -> Key | None:
    """Return the entry of a key that a caller sent; None if it is unknown or has expired."""
    key = keys.get(presented[3:11])
    digest = hashlib.sha256(presented.encode("utf-8", "surrogateescape")).hexdigest()
    if not hmac.compare_digest(digest, key.sha256 if key else "") or key is None:
        return None
    return key if key.expires is None or now < key.expires else None


def create(
    path: Path,
    name: str,
    models: frozenset[str] = frozenset(),
    verbs: frozenset[str] = frozenset(),
    rate: str | None = None,
    expires: datetime | None = None,
) -> tuple[Key, str]:
    """Add a key to a file.

    Returns:
        The entry, and the key itself, which is stored nowhere.

    Raises:
        KeysError: the file is invalid or cannot be written, or the rate is invalid.
    """
    key_id = secrets.token_hex(4)
    secret_key = f"vt_{key_id}_{secrets.token_urlsafe(32)}"
    try:
        key = Key(
            id=key_id,
            sha256=hashlib.sha256(secret_key.encode()).hexdigest(),
            name=name,
            models=models,
            verbs=verbs,
            rate=rate,
            created=datetime.now(UTC).replace(microsecond=0),
            expires=expires,
        )
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        raise KeysError(f"{first['loc'][0]}: {first['msg']}") from None
    with _edit(path) as keys:
        keys[key_id] = key
    return key, secret_key


def revoke(path: Path, key_id: str) -> Key:
    """Remove a key from a file and return its entry.

    Raises:
        KeysError: the id is unknown, or the file is invalid.
    """
    with _edit(path) as keys:
        if key_id not in keys:
            raise KeysError(f"{path} has no key {key_id}; it has: {', '.join(keys) or 'none'}")
        return keys.pop(key_id)


def read(path: Path) -> dict[str, Key]:
    """Read a keys file. A missing file has no keys.

    Raises:
        KeysError: see :func:`parse`.
    """
    try:
        return parse(path.read_bytes(), str(path))
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise KeysError(f"{path} cannot be read: {error.strerror}") from None


@contextlib.contextmanager
def _edit(path: Path) -> Iterator[dict[str, Key]]:
    """Lock the file and yield its keys, then replace it; only its owner may read it."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.with_name(f".{path.name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            keys = read(path)
            yield keys
            content = _FILE.dump_json(tuple(keys.values()), indent=2, exclude_defaults=True) + b"\n"
            remove_leftovers(path)
            write_atomically(path, content, permissions=0o600)
    except OSError as error:
        raise KeysError(f"{path} cannot be written: {error.strerror}") from None
