"""Commands on versions: promote, sign, rollback, canary."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from serving.artifacts import rollout
from serving.artifacts.models_config import ConfigError
from serving.artifacts.registry import PREVIOUS, STABLE, ModelRegistry, RegistryError
from serving.artifacts.routing_file import RoutingEntry, RoutingError
from serving.cli.options import Exports, exports_or_default
from serving.cli.terminal import console, fail

if TYPE_CHECKING:
    from serving.artifacts.signing import Signer


def promote(
    model: str,
    version: int,
    label: Annotated[str, typer.Option(help="The label to move.")] = STABLE,
    exports: Exports = None,
) -> None:
    """Verify a version's files and point a label (stable: the live version) at it.

    This ends the version's run as canary or shadow.
    """
    try:
        registry = ModelRegistry(exports_or_default(exports))
        moved = rollout.promote(registry, model, version, label)
    except (ConfigError, RoutingError, RegistryError, OSError) as error:
        raise fail(error) from None
    came_from = f" (was {moved.before})" if moved.before not in (None, version) else ""
    ended = "; its run as canary or shadow has ended" if moved.ended is not None else ""
    console.print(f"{model}: {label} is version {version}{came_from}{ended}")
    _mirror_labels(registry, model)


def sign(
    model: str,
    version: int,
    key: Annotated[Path, typer.Option(envvar="VITRINE_SIGNING_KEY", help="Ed25519 private key (PEM).")],
    exports: Exports = None,
) -> None:
    """Sign a version's manifest, which model server and sync verify with the public key."""
    try:
        ModelRegistry(exports_or_default(exports)).sign(model, version, load_signer(key))
    except (RegistryError, OSError) as error:
        raise fail(error) from None
    console.print(f"{model}: version {version} is signed")


def load_signer(key: Path) -> "Signer":
    """Load the private key; print the error and exit if it is invalid."""
    from serving.artifacts.signing import KeyFileError, Signer

    try:
        return Signer(key)
    except KeyFileError as error:
        raise fail(error) from None


def rollback(model: str, exports: Exports = None) -> None:
    """End the canary. Without one, make the previously live version live again."""
    try:
        registry = ModelRegistry(exports_or_default(exports))
        moved = rollout.rollback(registry, model)
    except (ConfigError, RoutingError, RegistryError, OSError) as error:
        raise fail(error) from None
    if moved.version == moved.before:
        console.print(f"{model}: the canary has ended; version {moved.version} answers all")
    else:
        console.print(f"{model}: {STABLE} is version {moved.version} (was {moved.before}, now labelled {PREVIOUS})")
    _mirror_labels(registry, model)


def canary(
    model: str,
    version: Annotated[int | None, typer.Argument(help="The version to try.", show_default=False)] = None,
    percent: Annotated[
        float | None, typer.Argument(help="Percentage of the requests, 0 to 100.", show_default=False)
    ] = None,
    sticky: Annotated[
        str | None, typer.Option(help="Keep each caller on one version, by key, header:NAME or cookie:NAME.")
    ] = None,
    shadow: Annotated[
        bool, typer.Option("--shadow", help="Send copies of the requests and compare the answers instead.")
    ] = False,
    off: Annotated[bool, typer.Option("--off", help="End the canary, or with --shadow the shadow.")] = False,
    exports: Exports = None,
) -> None:
    """Send a share of the requests, or a copy of them, to another version.

    With a model alone, print its current routing.
    """
    try:
        registry = ModelRegistry(exports_or_default(exports))
        _route(registry, model, version, percent, sticky, shadow, off)
        live, entry = registry.live(model), registry.routing().get(model, RoutingEntry())
    except (ConfigError, RoutingError, RegistryError, OSError) as error:
        raise fail(error) from None
    if live is None:
        raise fail(f"there is no model {model}; there are: {', '.join(registry.models()) or 'none'}")
    console.print(f"{model}: version {live if entry.live == STABLE else entry.live} is live")
    if entry.canary is not None:
        by = f", the same callers by {entry.canary.sticky}" if entry.canary.sticky else ""
        console.print(f"  canary: version {entry.canary.version} answers {entry.canary.percent:g} %{by}")
    if entry.shadow is not None:
        console.print(f"  shadow: version {entry.shadow.version} gets a copy of {entry.shadow.percent:g} %")
    if version is not None or off:
        _mirror_labels(registry, model)


def _mirror_labels(registry: ModelRegistry, model: str) -> None:
    """Copy the labels to MLflow's registry, if MLFLOW_TRACKING_URI is set."""
    from training.tracking import mlflow_server

    mirror = mlflow_server.mirror_labels
    mirror(registry, model, lambda sentence: console.print(sentence, markup=False, soft_wrap=True))


def _route(
    registry: ModelRegistry,
    model: str,
    version: int | None,
    percent: float | None,
    sticky: str | None,
    shadow: bool,
    off: bool,
) -> None:
    if off:
        rollout.off(registry, model, rollout.SHADOW if shadow else rollout.CANARY)
    elif version is None:
        return
    elif percent is None:
        raise fail(f"the percentage of the requests is missing: vitrine canary {model} {version} PERCENT")
    elif not shadow:
        rollout.canary(registry, model, version, percent, sticky)
    elif sticky is None:
        rollout.shadow(registry, model, version, percent)
    else:
        raise fail("--sticky is for canaries; a shadow copies requests at random")
