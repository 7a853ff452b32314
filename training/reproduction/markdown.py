"""The page as Markdown: one table, then the results of each system."""

from collections.abc import Iterator

from training.experiments.study import grid
from training.reproduction.rows import Row, RowEntry, duration, number

HEAD = """# Reproduction

The systems of the courses, run again. `vitrine reproduce` writes this page and [index.html](index.html), which also
shows the plots. The courses' figures come from TensorFlow 2.3 and 2.4 on other machines; ours are compared with them,
not tuned to equal them. Every run asserts the exact facts (parameter counts, shapes, formulas) before it trains, so
they hold in every completed run. Times are those of fitting on two CPU cores.
"""


def page(rows: list[Row]) -> str:
    """Return the page."""
    return "\n".join([HEAD, *_table(rows), "", *_details(rows)]).rstrip() + "\n"


def _table(rows: list[Row]) -> Iterator[str]:
    yield "| system | exact facts | asserted | figure | printed | ours | difference | time | data |"
    yield "| --- | --- | --- | --- | ---: | ---: | ---: | ---: | --- |"
    for row in rows:
        exact = "; ".join(row.system.exact) or "–"
        first = [f"**{row.system.title}** ({row.system.course})", exact, "yes" if row.asserted else "not all run"]
        if not row.system.exact:
            first[2] = "–"
        for entry in row.entries:
            for cells in _lines(entry):
                yield "| " + " | ".join([*first, *cells]) + " |"
                first = ["", "", ""]


def _lines(entry: RowEntry) -> Iterator[list[str]]:
    name = f"`{entry.name}`"
    result = entry.result
    if result is None or result.status == "failed":
        yield [f"{name} *{entry.state}*", "", "", "", "", _cell(result.reason or "") if result else ""]
        return
    mark = "" if entry.state == "full run" else f" *{entry.state}*"
    last = [duration(result.seconds), _cell(result.stand_in or result.data)]
    for figure in entry.figures:
        values = (number(figure.printed), number(figure.ours), number(figure.difference, signed=True))
        yield [f"{name}{mark} {figure.name.replace('_', ' ')}", *values, *last]
        last = ["", ""]
    if not entry.figures:
        yield [f"{name}{mark}", "", "", "", *last]


def _details(rows: list[Row]) -> Iterator[str]:
    for row in rows:
        yield f"## {row.system.title}\n"
        for entry in row.entries:
            result = entry.result
            yield f"### `{entry.name}`: {entry.title}\n"
            if result is None:
                yield "Not run here.\n"
                continue
            if result.status == "failed":
                yield f"Failed: {result.reason}\n"
                continue
            if result.quick:
                yield "**A quick run with a shortened recipe: its figures mean little.**\n"
            if result.stand_in:
                yield f"**Stand-in data: {result.stand_in}. The figures say nothing about the real task.**\n"
            if result.rows:
                yield from grid(result.columns, result.rows)
                yield ""
            for note in result.notes:
                yield f"- {note}"
            if result.notes:
                yield ""
            for plot in result.plots:
                yield f"![{plot}](plots/{plot})"
            yield ""


def _cell(text: str) -> str:
    return text.replace("|", "/").replace("\n", " ")
