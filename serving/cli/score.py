"""``vitrine score``."""

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from serving import extras
from serving.artifacts.model_card import ModelCardError
from serving.artifacts.models_config import ConfigError
from serving.artifacts.registry import ModelRegistry, RegistryError
from serving.cli.options import Exports, exports_or_default
from serving.cli.terminal import console, fail
from serving.model_server.errors import ServingError

if TYPE_CHECKING:
    from serving.scoring.parts import Engine

_OUTPUTS = ("", ".parquet", ".csv")


def score(
    inputs: Annotated[Path, typer.Argument(help="A folder of pictures, or a Parquet file.")],
    model: Annotated[str, typer.Option(help="The model.")] = "fashion_cnn",
    version: Annotated[int | None, typer.Option(help="The version; without it, the live one.")] = None,
    out: Annotated[Path, typer.Option(help="Parquet or .csv file for id, error and the model's outputs.")] = Path(
        "results.parquet"
    ),
    column: Annotated[str | None, typer.Option(help="Input column of the Parquet file, if several fit.")] = None,
    on: Annotated[
        Literal["here", "ray"], typer.Option(help="here: this machine; ray: the Ray cluster of RAY_ADDRESS.")
    ] = "here",
    workers: Annotated[
        int | None, typer.Option(min=1, help="Workers with --on ray; without it, one for each core.")
    ] = None,
    exports: Exports = None,
) -> None:
    """Run a model version over many inputs. An interrupted run resumes."""
    if on == "ray" and importlib.util.find_spec("ray") is None:
        raise fail(extras.needs("vitrine score --on ray", "ray"))
    from serving.scoring import parts
    from serving.scoring.inputs import InputError, find, text
    from serving.scoring.model import ScoringModel

    try:
        registry = ModelRegistry(exports_or_default(exports))
        number = registry.live(model) if version is None else version
        if number is None:
            raise fail(f"there is no model {model}; there are: {', '.join(registry.models()) or 'none'}")
        chosen = ScoringModel.of(registry.directory(model, number))
        if out.suffix.lower() not in _OUTPUTS or out.is_dir():
            raise fail(f"--out is {text(str(out))}; a file that ends in .parquet or .csv is expected")
        source = find(inputs, chosen.card, column)
        out.parent.mkdir(parents=True, exist_ok=True)
        console.print(f"{model} version {number} over {source.rows:,} rows", style="dim")
        if not source.rows:
            raise fail(f"{inputs} has no rows")
        shown = (MofNCompleteColumn(), BarColumn(), TimeRemainingColumn(), TextColumn("left"))
        with Progress(*shown, console=console) as bar:
            task = bar.add_task("", total=source.rows)
            scored = parts.score(
                chosen, source, out, lambda done: bar.update(task, completed=done),
                engine=parts.here if on == "here" else _ray(workers),
            )  # fmt: skip
    except (
        ModelCardError, ConfigError, RegistryError, ServingError, InputError, parts.EngineError, OSError,
    ) as error:  # fmt: skip
        raise fail(error) from None
    unreadable = f"of which {scored.errors:,} could not be read (column error)"
    console.print(f"{scored.rows:,} rows in {text(str(out))}, {unreadable}", soft_wrap=True)
    if source.left_out:
        console.print(f"{source.left_out:,} pictures were skipped: hidden files, thumbnails or trash")


def _ray(workers: int | None) -> "Engine":
    from serving.scoring import on_ray

    return on_ray.engine(workers)
