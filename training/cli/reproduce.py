"""``vitrine reproduce``."""

from pathlib import Path
from typing import Annotated

import typer

from serving.artifacts.model_card import ModelCardError
from serving.artifacts.models_config import ConfigError
from serving.artifacts.registry import RegistryError
from serving.artifacts.user_models import default_exports
from serving.cli.terminal import fail, note
from training.cli.terminal import Quick, console, quiet_tensorflow
from training.core.catalogue import check_names
from training.core.errors import JobError


def reproduce(
    names: Annotated[
        list[str] | None, typer.Argument(help="Jobs and studies; without names, all.", show_default=False)
    ] = None,
    quick: Quick = False,
    again: Annotated[bool, typer.Option(help="Also run jobs and studies that are up to date.")] = False,
    run: Annotated[bool, typer.Option(help="--no-run only rewrites the page from the existing results.")] = True,
    docs: Annotated[Path | None, typer.Option(help="Folder of the page; docs/reproduction without it.")] = None,
    exports: Annotated[
        Path | None, typer.Option(help="Folder of the versions; without it, that of your models.", show_default=False)
    ] = None,
    work: Annotated[Path, typer.Option(help="Folder of unfinished runs, studies and logs.")] = Path(".vitrine"),
) -> None:
    """Run every outdated job and study, and compare the figures with the courses'.

    With --quick, nothing is published, and the page goes to a folder of its own under --work.
    """
    separate = work / "quick" if quick else None
    quiet_tensorflow()

    def say(line: str) -> None:
        console.print(line, markup=False, highlight=False, soft_wrap=True)

    try:
        chosen = check_names(names or [])
        from training.reproduction import page, runner
        from training.reproduction.results import Results

        folders = runner.Folders(
            docs=docs or (separate / "reproduction" if separate else Path("docs/reproduction")),
            exports=exports or default_exports(note),
            work=separate or work,
        )
        try:
            if run:
                runner.reproduce(chosen, folders, quick=quick, again=again, say=say)
        finally:  # also after an interruption
            results = Results.read(folders.docs)
            if not quick:
                runner.add_published(results, folders)
            written = page.write(folders.docs, results)
    except KeyboardInterrupt:
        console.print("interrupted; the same command resumes it")
        raise typer.Exit(130) from None
    except (JobError, RegistryError, ModelCardError, ConfigError, OSError) as error:
        raise fail(error) from None
    for path in written:
        console.print(str(path), soft_wrap=True)
    failed = [name for name in chosen if name in results.results and results.results[name].status == "failed"]
    if failed:
        raise fail(f"failed: {', '.join(failed)}; see the page and {folders.work / 'logs'} for the reasons")
