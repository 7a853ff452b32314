"""``python -m serving.artifacts.sync SOURCE TARGET``: brings versions from an object store to a folder that a model
server reads.

TensorFlow Serving has no S3 in its build, and no reader of an object store sees a version whole. So this runs beside a
model server (and a gateway, which reads the same ``models.config``), and every ``--interval`` seconds

1. reads ``models.config`` and ``routing.json``, and then what versions there are;
2. brings each version that the configuration has loaded: downloaded aside (an interrupted one goes on where it was),
   checked against its manifest and, with ``--verify-key``, its signature, synced, renamed to its number;
3. replaces ``models.config``, then ``routing.json``. A model of which a named version could not be brought keeps its
   entry from before, so that nothing names a version that is not there, and a label moves to a version only at the
   look after the one that had it loaded (:func:`serving.artifacts.registry.listed_first`);
4. removes the versions that the configuration had no use for one interval ago, and has none now.

While the store cannot be reached everything stays as it is. It may be killed at any moment; SIGTERM ends it at once.
"""

import logging
import os
import shutil
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import typer

from serving.artifacts import atomic_write, manifest, models_config, version_files
from serving.artifacts import routing_file as routing
from serving.artifacts.local_backend import versions_in
from serving.artifacts.manifest import ManifestError
from serving.artifacts.models_config import ConfigError, ModelConfig, aspired_versions
from serving.artifacts.object_store import ObjectStoreBackend, ObjectStoreError
from serving.artifacts.registry import listed_first
from serving.artifacts.routing_file import RoutingError
from serving.artifacts.signing import KeyFileError, Verifier

logger = logging.getLogger("serving.artifacts.sync")

_CONFIG, _ROUTING = "models.config", "routing.json"
_INCOMING = ".incoming-"
_GOING = ".going-"


def wanted(model: ModelConfig, versions: list[int]) -> set[int]:
    """Of these versions those that a model server loads, and all that the entry names."""
    return {*aspired_versions(model, versions), *named(model)}


def named(model: ModelConfig) -> set[int]:
    """Versions that the entry names, by a label or as specific."""
    return {*model.specific, *model.labels.values()}


@dataclass
class Sync:
    """From a source to a folder, which is its own: what the source's configuration does not load is removed from it.

    ``verifier`` checks each version's signature before it is let in.
    """

    source: ObjectStoreBackend
    target: Path
    verifier: Verifier | None = None
    _told: dict[str, str] = field(default_factory=dict)
    _unused: set[Path] = field(default_factory=set)

    def once(self) -> bool:
        """Bring everything up to date; returns whether all that the source's configuration has loaded is there now.

        Raises:
            OSError: the store cannot be reached, or the disk is full or fails; what was brought before stays.
            ConfigError, RoutingError: the source's file is not valid; the one here stays.
        """
        config, routes = self.source.read(_CONFIG), self.source.read(_ROUTING)
        if config is None:
            self._tell(_CONFIG, f"{self.source.url} has no {_CONFIG} yet")
            return False
        models = models_config.parse_bytes(config, f"{self.source.url}/{_CONFIG}")
        there = self.source.whole()
        missing = {name: self._bring_model(entry, there.get(name, [])) for name, entry in models.items()}
        lacking = {name for name, versions in missing.items() if versions & named(models[name])}
        before = models_config.read(self.target / _CONFIG)
        kept = {name: before[name] for name in lacking if name in before}
        brought = {
            name: listed_first(before[name], entry, versions_in(self.target / name)) if name in before else entry
            for name, entry in models.items()
            if name not in lacking
        }
        entries = brought | kept
        self._put(_CONFIG, models_config.render(entries))
        self._put_routing(routes, lacking)
        self._remove_unused(entries, models)
        return not any(missing.values()) and all(there.get(name) for name in models)

    def _bring_model(self, entry: ModelConfig, versions: list[int]) -> set[int]:
        """Brings what the model's entry asks for; returns the versions of it that are not there."""
        home = self.target / entry.name
        if not versions:
            self._tell(entry.name, f"{self.source.url} has no version of {entry.name}, which {_CONFIG} names")
        asked = wanted(entry, versions)
        for version in sorted(asked - set(versions_in(home))):
            what = f"{entry.name} version {version}"
            problem = self._bring(home, version) if version in versions else f"{self.source.url} has no such version"
            self._tell(what, f"{what} cannot be brought: {problem}" if problem else f"brought {what}")
        return asked - set(versions_in(home))

    def _bring(self, home: Path, version: int) -> str | None:
        """Bring one version; returns why it is not let in."""
        incoming = home / f"{_INCOMING}{version}"
        try:
            self.source.fetch(home.name, version, incoming)
            problem = manifest.check(incoming)
            if problem is None and self.verifier is not None:
                problem = self.verifier.check(incoming, home.name, version)
        except ManifestError as error:
            problem = str(error)
        if problem:
            shutil.rmtree(incoming, ignore_errors=True)  # what came is not to be gone on with
            return problem
        incoming.rename(home / str(version))
        atomic_write.sync(home)
        return None

    def _put(self, name: str, text: str) -> None:
        content, path = text.encode(), self.target / name
        if not path.is_file() or path.read_bytes() != content:
            atomic_write.write_atomically(path, content)
            logger.info("%s has changed", name)

    def _put_routing(self, content: bytes | None, lacking: set[str]) -> None:
        path = self.target / _ROUTING
        if content is None and not path.is_file():
            return
        before = routing.read(path)
        entries = routing.parse(content or b"{}", f"{self.source.url}/{_ROUTING}")
        kept = {name: before[name] for name in lacking if name in before}
        self._put(_ROUTING, routing.render({name: e for name, e in entries.items() if name not in lacking} | kept))

    def _remove_unused(self, *configurations: Mapping[str, ModelConfig]) -> None:
        """Removes what had no use at the last look and has none now: by now no model server reads it any more. What
        one configuration loads has a use: that here, or the source's, which may still lack another version."""
        unused: set[Path] = set()
        for home in (path for path in self.target.iterdir() if path.is_dir()):
            try:
                here = version_files.directories(home)
            except PermissionError:
                continue  # lost+found, or another user's folder
            entries = [models[home.name] for models in configurations if home.name in models]
            used = {version for entry in entries for version in wanted(entry, list(here))}
            unused |= {path for version, path in here.items() if version not in used}
            unused |= {*home.glob(f"{_INCOMING}*"), *home.glob(f"{_GOING}*")}  # of an earlier process
        for path in unused & self._unused:
            going = path if path.name.startswith(".") else path.with_name(f"{_GOING}{path.name}")
            path.rename(going)  # at once for all who look: no half version is seen
            shutil.rmtree(going, ignore_errors=True)
            logger.info("removed %s version %s", path.parent.name, path.name)
        self._unused = unused

    def _tell(self, about: str, text: str) -> None:
        """Once, until there is something else to say of it."""
        if self._told.get(about) != text:
            logger.info("%s", text)
        self._told[about] = text


def main(
    source: Annotated[str, typer.Argument(help="s3://… or gs://…, as vitrine train --exports has it.")],
    target: Annotated[Path, typer.Argument(help="A folder of its own.")],
    interval: Annotated[float, typer.Option(min=0.01, help="Seconds between looks.")] = 5.0,
    once: Annotated[bool, typer.Option("--once", help="Look once; the exit code says whether all is there.")] = False,
    verify_key: Annotated[
        Path | None, typer.Option(envvar="VITRINE_VERIFY_KEY", help="Ed25519 public key (PEM): let in what it signed.")
    ] = None,
) -> None:
    """Bring whole versions from an object store to a folder that a model server reads."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: os._exit(0))  # at once: whatever is under way goes on at the next start
    try:
        sync = Sync(ObjectStoreBackend(source), target, Verifier(verify_key) if verify_key else None)
    except (ObjectStoreError, KeyFileError) as error:
        raise SystemExit(str(error)) from None
    target.mkdir(parents=True, exist_ok=True)
    told = ""
    while True:
        complete = False
        try:
            complete = sync.once()
            told = ""
        except (OSError, ConfigError, RoutingError) as error:
            if str(error) != told:
                logger.error("%s; what is there stays, and the next look is in %g s", error, interval)
            told = str(error)
        if once:
            raise SystemExit(0 if complete else 1)
        time.sleep(interval)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname).1s %(name)s] %(message)s")
    typer.run(main)
