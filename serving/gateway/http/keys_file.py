"""Keys that callers show: ``keys.json`` holds their hashes, never the keys.

A key is ``vt_<id>_<secret>``. The secret is 256 random bits, so a plain SHA-256 of the whole key keeps it: there is
nothing to guess that a slow hash would make slower. The id finds the entry, the hashes are then compared in constant
time. The file is replaced as a whole; the gateway reads it again when it changes.
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

from serving.artifacts.atomic_write import write_atomically


class KeysError(ValueError):
    """The file is no valid keys.json, or what was asked of it cannot be done; the message says why."""


def check_rate(text: str) -> str:
    """The rate as it is. Raises ValueError where the ``limits`` library cannot read it, or reads several: the first
    alone would be kept; or where it lets nothing through."""
    import limits  # a tenth of a second, which only those with rates are to pay

    try:
        (rate,) = limits.parse_many(text)
        if not rate.amount:
            raise ValueError
    except ValueError:
        raise ValueError(f"{text!r} is no rate; one is written like 10/second or 1000 per 5 minutes") from None
    return text


#: As the ``limits`` library reads it: ``10/second``, ``1000 per 5 minutes``.
Rate = Annotated[str, AfterValidator(check_rate)]


class Key(BaseModel):
    """What is known of a key. ``models`` and ``verbs`` that are empty allow all of them; ``rate`` goes before the
    gateway's own."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = Field(pattern=r"^[0-9a-f]{8}$")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$", description="of the whole key")
    name: str = Field(min_length=1, description="whose it is")
    models: frozenset[str] = frozenset()
    verbs: frozenset[str] = frozenset()
    rate: Rate | None = None
    created: AwareDatetime
    expires: AwareDatetime | None = None

    def reaches(self, model: str) -> bool:
        """Whether it is for that model."""
        return not self.models or model in self.models

    def allows(self, model: str, verb: str) -> bool:
        """Whether it may ask the model for that."""
        return self.reaches(model) and (not self.verbs or verb in self.verbs)


Keys = Mapping[str, Key]
_FILE = TypeAdapter(tuple[Key, ...])


def parse(text: str | bytes, origin: str = "keys.json") -> dict[str, Key]:
    """Keys by id.

    Raises:
        KeysError: not a JSON list of keys, or an id twice; no hash is in the message.
    """
    try:
        keys = _FILE.validate_json(text)
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        where = ".".join(map(str, first["loc"])) or "the whole"
        raise KeysError(f"{origin}: {where}: {first['msg']}") from None
    by_id = {key.id: key for key in keys}
    if len(by_id) < len(keys):
        raise KeysError(f"{origin}: an id stands there twice")
    return by_id


def find(keys: Keys, shown: str, now: datetime) -> Key | None:
    """The entry of a key as a caller shows it; None where there is none, or it has expired."""
    key = keys.get(shown[3:11])
    digest = hashlib.sha256(shown.encode("utf-8", "surrogateescape")).hexdigest()
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
    """Adds a key; returns its entry and the key itself, which is kept nowhere.

    Raises:
        KeysError: the file is not valid, cannot be written, or the rate cannot be read.
    """
    number = secrets.token_hex(4)
    shown = f"vt_{number}_{secrets.token_urlsafe(32)}"
    try:
        key = Key(
            id=number,
            sha256=hashlib.sha256(shown.encode()).hexdigest(),
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
        keys[number] = key
    return key, shown


def revoke(path: Path, number: str) -> Key:
    """Takes a key away by its id; returns what it was.

    Raises:
        KeysError: there is no such key, or the file is not valid.
    """
    with _edit(path) as keys:
        if number not in keys:
            raise KeysError(f"there is no key {number} in {path}; there are: {', '.join(keys) or 'none'}")
        return keys.pop(number)


def read(path: Path) -> dict[str, Key]:
    """Keys by id; none where there is no file.

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
    """The keys, held for one writer; the file is replaced in one step and only its owner may read it."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.with_name(f".{path.name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            keys = read(path)
            yield keys
            content = _FILE.dump_json(tuple(keys.values()), indent=2, exclude_defaults=True) + b"\n"
            write_atomically(path, content, permissions=0o600)
    except OSError as error:
        raise KeysError(f"{path} cannot be written: {error.strerror}") from None
