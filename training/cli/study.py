"""``vitrine study``."""

from pathlib import Path
from typing import Annotated

import typer

from serving.cli.terminal import fail
from training.cli.terminal import Quick, StandIn, console, print_names, quiet_tensorflow, starting_tensorflow
from training.core.catalogue import STUDIES, check_study, check_takes, find_study
from training.core.errors import JobError
from training.core.job import JobOptions
from training.core.preflight import check_writable


def study(
    name: Annotated[str | None, typer.Argument(help="The study; --list prints all.", show_default=False)] = None,
    list_studies: Annotated[bool, typer.Option("--list", help="Print every study.")] = False,
    quick: Quick = False,
    stand_in: StandIn = False,
    folder: Annotated[Path, typer.Option(help="Folder for tables and plots.")] = Path(".vitrine/studies"),
) -> None:
    """Run an experiment that ends in a table and a plot."""
    if list_studies or name is None:
        print_names("study", STUDIES)
        return
    quiet_tensorflow()
    options = JobOptions(quick=quick, stand_in=stand_in)
    into = folder / name
    try:
        check_study(name)
        check_takes(name, options.own())
        check_writable(into, "--folder")
        with starting_tensorflow():
            chosen = find_study(name)
        from training.experiments.study import PLOT_FILE, TABLE_FILE, perform, table

        findings = perform(chosen, options, into, console.print)
    except (JobError, OSError) as error:
        raise fail(error) from None
    console.print(table(chosen, findings))
    for note in findings.notes:
        console.print(note, style="yellow", markup=False, soft_wrap=True)
    console.print(f"{into / TABLE_FILE} and {PLOT_FILE}, after {findings.seconds:.0f} s")
