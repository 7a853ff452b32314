"""Copy versions from an object store to a folder that a model server reads.

``python -m serving.artifacts.sync SOURCE TARGET`` runs beside a model server and a gateway, because TensorFlow Serving
is built without S3 and an object store does not show versions atomically. Every ``--interval`` seconds it

1. reads ``models.config``, ``routing.json`` and the list of versions;
2. downloads each version that the configuration loads into a temporary folder, resumes interrupted downloads, checks
   the manifest and, with ``--verify-key``, the signature, and renames the folder to the version's number;
3. replaces ``models.config``, then ``routing.json``. A model whose named version could not be downloaded keeps its old
   entry. A label moves to a version only in the round after the one that loaded it
   (:func:`serving.artifacts.version_labels.first_step`);
4. removes the versions that the configuration has not used for one interval.

With ``--metrics-port`` it answers ``/metrics`` there, for Prometheus.

While the object store cannot be reached, everything stays unchanged. The program may be killed at any moment; SIGTERM
ends it at once.
"""

import logging
import os
import shutil
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from serving.artifacts import atomic_write, manifest, models_config, routing_file, version_files
from serving.artifacts.backends.local import versions_in
from serving.artifacts.backends.object_store import ObjectStoreBackend, ObjectStoreError
from serving.artifacts.manifest import ManifestError
from serving.artifacts.models_config import CONFIG_FILE, ConfigError, ModelConfig, aspired_versions
from serving.artifacts.registry import COPIED_FROM
from serving.artifacts.routing_file import RoutingError
from serving.artifacts.version_labels import first_step

if TYPE_CHECKING:
    from serving.artifacts.signing import Verifier

logger = logging.getLogger("serving.artifacts.sync")

_ROUTING = "routing.json"
_INCOMING = ".incoming-"
_REMOVED = ".going-"


def required_versions(model: ModelConfig, versions: list[int]) -> set[int]:
    """Return the versions that a model server loads, and all that the entry names."""
    return {*aspired_versions(model, versions), *named_versions(model)}


def named_versions(model: ModelConfig) -> set[int]:
    """Return the versions that the entry names by a label or as specific."""
    return {*model.specific, *model.labels.values()}


@dataclass
class Sync:
    """Copies versions from an object store to a folder, and removes unused versions from the folder.

    ``verifier`` checks each version's signature before the version appears.
    """

    source: ObjectStoreBackend
    target: Path
    verifier: "Verifier | None" = None
    _logged: dict[str, str] = field(default_factory=dict)
    _unused: set[Path] = field(default_factory=set)

    def once(self) -> bool:
        """Run one round. Returns whether the target now holds every version that the source's configuration loads.

        Raises:
            OSError: The object store cannot be reached, or the disk is full or fails. Earlier versions stay.
            ConfigError: The source's models.config is invalid. The target's file stays.
            RoutingError: The source's routing.json is invalid. The target's file stays.
        """
        config, routes = self.source.read(CONFIG_FILE), self.source.read(_ROUTING)
        if config is None:
            self._log_once(CONFIG_FILE, f"{self.source.url} has no {CONFIG_FILE} yet")
            return False
        models = models_config.parse_bytes(config, f"{self.source.url}/{CONFIG_FILE}")
        available = self.source.complete_versions()
        missing = {name: self._fetch_model(entry, available.get(name, [])) for name, entry in models.items()}
        incomplete = {name for name, versions in missing.items() if versions & named_versions(models[name])}
        before = models_config.read(self.target / CONFIG_FILE)
        kept = {name: before[name] for name in incomplete if name in before}
        updated = {
            name: first_step(before[name], entry, versions_in(self.target / name)) if name in before else entry
            for name, entry in models.items()
            if name not in incomplete
        }
        entries = updated | kept
        self._write(COPIED_FROM, f"{self.source.url}\n")
        self._write(CONFIG_FILE, models_config.render(entries))
        self._write_routing(routes, incomplete)
        self._remove_unused(entries, models)
        return not any(missing.values()) and all(available.get(name) for name in models)

    def _fetch_model(self, entry: ModelConfig, versions: list[int]) -> set[int]:
        """Download the versions that a model's entry requires. Returns those that are still missing."""
        folder = self.target / entry.name
        if not versions:
            self._log_once(entry.name, f"{self.source.url} has no version of {entry.name}, which {CONFIG_FILE} names")
        required = required_versions(entry, versions)
        for version in sorted(required - set(versions_in(folder))):
            what = f"{entry.name} version {version}"
            problem = self._fetch(folder, version) if version in versions else f"{self.source.url} has no such version"
            self._log_once(what, f"{what} cannot be downloaded: {problem}" if problem else f"downloaded {what}")
        return required - set(versions_in(folder))

    def _fetch(self, folder: Path, version: int) -> str | None:
        """Download one version. Returns the reason if it is rejected."""
        incoming = folder / f"{_INCOMING}{version}"
        try:
            self.source.fetch(folder.name, version, incoming)
            problem = manifest.check(incoming)
            if problem is None and self.verifier is not None:
                problem = self.verifier.check(incoming, folder.name, version)
        except ManifestError as error:
            problem = str(error)
        if problem:
            shutil.rmtree(incoming, ignore_errors=True)  # never resume from rejected files
            return problem
        incoming.rename(folder / str(version))
        atomic_write.sync(folder)
        return None

    def _write(self, name: str, text: str) -> None:
        """Replace a file if its content differs."""
        content, path = text.encode(), self.target / name
        atomic_write.remove_leftovers(path)
        if not path.is_file() or path.read_bytes() != content:
            atomic_write.write_atomically(path, content)
            logger.info("%s has changed", name)

    def _write_routing(self, content: bytes | None, incomplete: set[str]) -> None:
        path = self.target / _ROUTING
        if content is None and not path.is_file():
            return
        before = routing_file.read(path)
        source = routing_file.parse(content or b"{}", f"{self.source.url}/{_ROUTING}")
        updated = {name: entry for name, entry in source.items() if name not in incomplete}
        kept = {name: before[name] for name in incomplete if name in before}
        self._write(_ROUTING, routing_file.render(updated | kept))

    def _remove_unused(self, *configurations: Mapping[str, ModelConfig]) -> None:
        """Remove the versions that were unused in the last round too: no model server reads them any more.

        A version is used if the target's or the source's configuration loads it.
        """
        unused: set[Path] = set()
        for folder in (path for path in self.target.iterdir() if path.is_dir()):
            try:
                versions = version_files.directories(folder)
            except PermissionError:
                continue  # lost+found, or a folder of another user
            entries = [models[folder.name] for models in configurations if folder.name in models]
            used = {version for entry in entries for version in required_versions(entry, list(versions))}
            unused |= {path for version, path in versions.items() if version not in used}
            unused |= {*folder.glob(f"{_INCOMING}*"), *folder.glob(f"{_REMOVED}*")}  # of an earlier process
        for path in unused & self._unused:
            removed = path if path.name.startswith(".") else path.with_name(f"{_REMOVED}{path.name}")
            path.rename(removed)  # atomic: readers never see half a version
            shutil.rmtree(removed, ignore_errors=True)
            logger.info("removed %s version %s", path.parent.name, path.name)
        self._unused = unused

    def _log_once(self, about: str, text: str) -> None:
        """Log a text unless it is the last one about the same thing."""
        if self._logged.get(about) != text:
            logger.info("%s", text)
        self._logged[about] = text


class SyncMetrics:
    """Prometheus metrics of the program, on a port of their own."""

    def __init__(self, port: int) -> None:
        """Listen on ``port``. The start counts as a success, so that the first failure is not reported at once."""
        from prometheus_client import CollectorRegistry, Gauge, start_http_server

        registry = CollectorRegistry()
        self._success = Gauge(
            "vitrine_sync_last_success_timestamp_seconds",
            "Time of the last round that read the object store's configuration and versions.",
            registry=registry,
        )
        self._complete = Gauge(
            "vitrine_sync_complete",
            "1 if the folder holds every version that the object store's configuration loads.",
            registry=registry,
        )
        self._success.set_to_current_time()
        start_http_server(port, registry=registry)

    def succeeded(self, complete: bool) -> None:
        """Record a round without an error."""
        self._success.set_to_current_time()
        self._complete.set(complete)


def main(
    source: Annotated[str, typer.Argument(help="Object store, s3://… or gs://…, as in vitrine train --exports.")],
    target: Annotated[Path, typer.Argument(help="Folder for the versions. Nothing else may write to it.")],
    interval: Annotated[float, typer.Option(min=0.01, help="Seconds between two rounds.")] = 5.0,
    once: Annotated[
        bool, typer.Option("--once", help="Run one round. The exit code is 0 if every version is there.")
    ] = False,
    metrics_port: Annotated[int, typer.Option(min=0, max=65535, help="Port of Prometheus metrics; 0 for none.")] = 0,
    verify_key: Annotated[
        Path | None,
        typer.Option(envvar="VITRINE_VERIFY_KEY", help="Ed25519 public key (PEM): accept only versions it verifies."),
    ] = None,
) -> None:
    """Copy versions from an object store to a folder that a model server reads."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: os._exit(0))  # at once: the next start resumes interrupted work
    try:
        sync = Sync(ObjectStoreBackend(source), target, _verifier(verify_key))
    except (ObjectStoreError, ValueError) as error:
        raise SystemExit(str(error)) from None
    target.mkdir(parents=True, exist_ok=True)
    metrics = SyncMetrics(metrics_port) if metrics_port else None
    logged = ""
    while True:
        complete = False
        try:
            complete = sync.once()
            logged = ""
            if metrics is not None:
                metrics.succeeded(complete)
        except (OSError, ConfigError, RoutingError) as error:
            if str(error) != logged:
                logger.error("%s; existing versions stay, next round in %g s", error, interval)
            logged = str(error)
        if once:
            raise SystemExit(0 if complete else 1)
        time.sleep(interval)


def _verifier(key: Path | None) -> "Verifier | None":
    """Load the public key. Raises KeyFileError, a ValueError."""
    if key is None:
        return None
    from serving.artifacts.signing import Verifier  # imports cryptography

    return Verifier(key)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname).1s %(name)s] %(message)s")
    typer.run(main)
