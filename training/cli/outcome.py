"""The result of a training run in the terminal: figures, the gate's reasons and notes."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

from training.cli.terminal import console, say

if TYPE_CHECKING:
    from training.core.card import Trained
    from training.core.pipeline import Outcome

_CLASSES = 10  # in the table of figures by class


def print_outcome(name: str, outcome: "Outcome") -> None:
    """Print the figures, beside those of the course if it is the course's data, and what the gate says."""
    from training.reproduction.rows import number

    trained = outcome.trained
    printed = {} if trained.options.own_data else trained.job.printed
    columns = ("figure", "ours", "printed in the course") if printed else ("figure", "value")
    table = Table(*columns, title=f"{name}, {trained.fitted.seconds:.0f} s of fitting")
    for key, value in trained.metrics.items():
        table.add_row(key, number(value), *([number(printed.get(key))] if printed else ()))
    for shown in (table, *_figures_by_class(trained)):
        for column in shown.columns[1:]:
            column.justify = "right"
        console.print(shown)
    for reason in outcome.verdict.reasons if outcome.verdict else ():
        say(f"gate: {reason}")
    if outcome.card is None:
        live = outcome.verdict.compared_with if outcome.verdict else None
        stays = f" Version {live} stays live." if live else ""
        console.print(
            f"[red]The gate refused it: nothing was published.{stays} Train it with other parameters (vitrine sweep "
            f"{trained.job.name} searches them), or publish it with --force.",
            soft_wrap=True,
        )
        return
    if outcome.verdict and outcome.verdict.forced:
        console.print("[yellow]The gate refused it; published by force, and the card says so.")
    for note in outcome.card.notes:
        say(f"note: {note}", "yellow")


def _figures_by_class(trained: "Trained") -> Iterator[Table]:
    """Make a table of the ten classes of lowest recall, if the model has classes."""
    from training.evaluation.metrics import by_class
    from training.reproduction.rows import number

    figures = by_class(trained.evaluation.truth, trained.evaluation.answer, trained.examples.labels)
    if figures:
        few = len(figures) > _CLASSES
        title = f"the {_CLASSES} classes of lowest recall, of {len(figures)}" if few else None
        table = Table("class", "recall", "precision", "in the test part", title=title)
        for label, one in sorted(figures.items(), key=lambda pair: pair[1].recall or 0.0)[:_CLASSES]:
            table.add_row(escape(label), number(one.recall), number(one.precision), str(one.examples))
        yield table
