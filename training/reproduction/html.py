"""The page as one HTML file: the table, then results and plots of each system."""

from collections.abc import Iterator
from html import escape
from pathlib import Path

from training.experiments.study import Cell, shown
from training.reproduction.rows import Row, RowEntry, duration, number

_CSS = Path(__file__).with_name("page.css")
_MARKS = {"quick run": "quick", "stand-in data": "stand", "failed": "failed", "not run": "absent"}
_HEADINGS = ("system", "exact facts", "run", "figure", "printed", "ours", "difference", "time", "data")


def page(rows: list[Row]) -> str:
    """Return the page."""
    body = "\n".join([*_top(rows), *_table(rows), *(line for row in rows for line in _section(row))])
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n<title>Vitrine: reproduction</title>\n'
        f"<style>\n{_CSS.read_text(encoding='utf-8')}</style>\n</head>\n<body>\n{body}\n"
        "<footer>Written by <code>vitrine reproduce</code>; the values are in "
        '<a href="results.json">results.json</a>.</footer>\n</body>\n</html>\n'
    )


def _top(rows: list[Row]) -> Iterator[str]:
    states = [entry.state for row in rows for entry in row.entries]
    compared = [
        figure for row in rows for entry in row.entries for figure in entry.figures if figure.difference is not None
    ]
    counts = {
        "systems": str(len(rows)),
        "jobs and studies in full": f"{states.count('full run')} of {len(states)}",
        "figures compared": str(len(compared)),
        "on stand-in data": str(states.count("stand-in data")),
    }
    yield "<h1>The courses’ experiments, run again</h1>"
    yield (
        '<p class="lead">The courses’ figures come from TensorFlow 2.3 and 2.4 on other machines; ours are compared '
        "with them, not tuned to equal them. Every run asserts the exact facts (parameter counts, shapes, formulas) "
        "before it trains, so they hold in every completed run. Times are those of fitting on two CPU cores. Runs on "
        "stand-in data are marked.</p>"
    )
    yield '<ul class="counts">' + "".join(f"<li><b>{value}</b>{name}</li>" for name, value in counts.items()) + "</ul>"


def _table(rows: list[Row]) -> Iterator[str]:
    numbers = ("printed", "ours", "difference", "time")
    heads = "".join(f"<th{' class=number' if name in numbers else ''}>{name}</th>" for name in _HEADINGS)
    yield f'<div class="wide"><table><thead><tr>{heads}</tr></thead>'
    for row in rows:
        lines = [line for entry in row.entries for line in _lines(entry)]
        system = (
            f'<td rowspan="{len(lines)}"><a href="#{_anchor(row)}"><b>{escape(row.system.title)}</b></a><br>'
            f'<span class="quiet">{escape(row.system.course)}</span></td><td rowspan="{len(lines)}">{_facts(row)}</td>'
        )
        yield '<tbody class="system">'
        for index, line in enumerate(lines):
            yield f"<tr>{system if index == 0 else ''}{line}</tr>"
        yield "</tbody>"
    yield "</table></div>"


def _facts(row: Row) -> str:
    if not row.system.exact:
        return '<span class="quiet">–</span>'
    facts = "".join(f"<li>{escape(fact)}</li>" for fact in row.system.exact)
    return f'<ul class="facts{"" if row.asserted else " open"}">{facts}</ul>'


def _lines(entry: RowEntry) -> Iterator[str]:
    """Yield the table's cells of each figure."""
    result, figures = entry.result, entry.figures
    over = f'rowspan="{max(1, len(figures))}"'
    run = f"<td {over}><code>{escape(entry.name)}</code><br>{_mark(entry)}</td>"
    if result is None or result.status == "failed":
        yield f'{run}<td colspan="6" class="quiet">{escape(_reason(entry))}</td>'
        return
    data = escape(result.stand_in or result.data)
    end = f'<td {over} class="number">{duration(result.seconds)}</td><td {over} class="quiet">{data}</td>'
    if not figures:
        yield f'{run}<td colspan="4"></td>{end}'
    for figure in figures:
        yield (
            f'{run}<td class="quiet">{escape(figure.name.replace("_", " "))}</td>'
            f'<td class="number">{number(figure.printed)}</td><td class="number"><b>{number(figure.ours)}</b></td>'
            f'<td class="number quiet">{number(figure.difference, signed=True)}</td>{end}'
        )
        run = end = ""


def _section(row: Row) -> Iterator[str]:
    yield f'<h2 id="{_anchor(row)}">{escape(row.system.title)}</h2>'
    yield f'<div class="quiet">{escape(row.system.course)}</div>'
    for entry in row.entries:
        result = entry.result
        yield f'<div class="entry"><h3><code>{escape(entry.name)}</code> {escape(entry.title)} {_mark(entry)}</h3>'
        if result is None or result.status == "failed":
            yield f'<p class="quiet">{escape(_reason(entry))}</p></div>'
            continue
        if result.quick:
            yield '<p class="quick">A quick run with a shortened recipe: its figures mean little.</p>'
        if result.stand_in:
            text = escape(result.stand_in)
            yield f'<p class="stand">Stand-in data: {text}. The figures say nothing about the real task.</p>'
        facts = [escape(result.data), f"{duration(result.seconds)} of fitting", f"{result.finished:%Y-%m-%d}"]
        if result.parameters:
            facts.insert(0, f"{result.parameters:,} parameters")
        yield f'<div class="quiet">{" · ".join(facts)}</div>'
        if result.rows:
            yield _grid(result.columns, result.rows)
        if result.notes:
            yield "<ul>" + "".join(f"<li>{escape(note)}</li>" for note in result.notes) + "</ul>"
        images = (f'<img src="plots/{escape(plot)}" alt="{escape(plot)}" loading="lazy">' for plot in result.plots)
        yield f'<div class="plots">{"".join(images)}</div></div>'


def _grid(columns: tuple[str, ...], rows: tuple[tuple[Cell, ...], ...]) -> str:
    def cell(value: Cell) -> str:
        kind = "" if isinstance(value, str) else ' class="number"'
        return f"<td{kind}>{escape(shown(value))}</td>"

    head = "".join(f"<th>{escape(column)}</th>" for column in columns)
    body = "".join(f"<tr>{''.join(map(cell, row))}</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _mark(entry: RowEntry) -> str:
    kind = _MARKS.get(entry.state)
    return f'<span class="mark {kind}">{entry.state}</span>' if kind else ""


def _reason(entry: RowEntry) -> str:
    return (entry.result.reason or "") if entry.result else ""


def _anchor(row: Row) -> str:
    return "-".join("".join(c if c.isalnum() else " " for c in row.system.title.lower()).split())
