"""Damage to the files of a version, and to the files that a gateway reads again when they change."""

import shutil
from collections.abc import Callable
from pathlib import Path

from serving.artifacts.manifest import CARD_FILE, MANIFEST_FILE

ONNX_FILE = "assets.extra/model.onnx"
SAVED_MODEL_FILE = "saved_model.pb"
Damage = Callable[[Path], object]


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def empty(path: Path) -> None:
    path.write_bytes(b"")


def overwrite(path: Path) -> None:
    path.write_bytes(b"\xff\x00{[" * 20)


def make_a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


FILE_DAMAGES: dict[str, Damage] = {
    "truncated": truncate,
    "with a flipped bit": flip_a_bit,
    "empty": empty,
    "overwritten": overwrite,
    "missing": Path.unlink,
    "a folder": make_a_folder,
}

#: The same without a flipped bit, which may leave a valid file with another content.
EVIDENT_DAMAGES = {how: damage for how, damage in FILE_DAMAGES.items() if how != "with a flipped bit"}


def _within(name: str, damage: Damage, *, manifest: bool) -> Damage:
    def damage_version(version: Path) -> None:
        damage(version / name)
        if not manifest:
            (version / MANIFEST_FILE).unlink(missing_ok=True)

    return damage_version


def _link_to_itself(version: Path) -> None:
    (version / SAVED_MODEL_FILE).unlink()
    (version / SAVED_MODEL_FILE).symlink_to(SAVED_MODEL_FILE)


def _remove_content(version: Path) -> None:
    shutil.rmtree(version)
    version.mkdir()


#: Damage to a version by name. Versions of other tools have no manifest, so that only reading the file shows damage.
VERSION_DAMAGES: dict[str, Damage] = {
    **{
        f"{file} {how}{'' if manifest else ', no manifest'}": _within(name, damage, manifest=manifest)
        for file, name in (("ONNX", ONNX_FILE), ("card", CARD_FILE), ("SavedModel", SAVED_MODEL_FILE))
        for manifest in (True, False)
        for how, damage in (FILE_DAMAGES if manifest else EVIDENT_DAMAGES).items()
    },
    **{f"manifest {how}": _within(MANIFEST_FILE, damage, manifest=True) for how, damage in FILE_DAMAGES.items()},
    "version empty": _remove_content,
    "a link to itself": _link_to_itself,
}
