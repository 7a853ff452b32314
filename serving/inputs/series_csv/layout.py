"""Lines to a table: separator, header, row lengths; comments, preambles, repeated headers and footers are left out."""

import csv
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from serving.inputs.series_csv.columns import is_known, is_time
from serving.inputs.series_csv.errors import SeriesFileError
from serving.inputs.series_csv.numbers import is_missing, looks_numeric
from serving.inputs.series_csv.text import lines
from serving.inputs.series_csv.times import is_month, looks_like_time

MOST_ROWS = 1_000_000
SEPARATORS = {"\t": "tabs", ";": "semicolons", "|": "bars", ",": "commas", " ": "spaces"}
_SAMPLE = 1_000  # rows that decide on separator and header
_YEAR = re.compile(r"(?:18|19|20)\d{2}")
_EXCEL_HINT = re.compile(r'"?sep=(.)"?\s*', re.IGNORECASE)


@dataclass(frozen=True)
class TableRow:
    """Cells of a row and the number of its first line."""

    line: int
    cells: list[str]


@dataclass(frozen=True)
class Table:
    """Header and rows; each row has as many cells as the header. ``notes`` says what was left out."""

    header: list[str]
    rows: list[TableRow]
    separator: str
    notes: list[str] = field(default_factory=list)

    def sample(self, index: int) -> list[str]:
        """Return cells of a column that have a value, of at most 1,000 rows from all parts of the table."""
        rows = self.rows[:: -(-len(self.rows) // _SAMPLE) or 1]
        return [cell for row in rows if not is_missing(cell := row.cells[index])]


def parse(text: str) -> Table:
    """Parse a text.

    Raises:
        SeriesFileError: there are no cells, there is no header, a quote is not closed, a row is not as long as the
            header, or there are too many rows.
    """
    hint = _EXCEL_HINT.fullmatch(next(lines(text)))
    separator = hint[1] if hint else _separator(text)
    rows: list[TableRow] = []
    for row in _rows(text, separator):
        if len(rows) > MOST_ROWS:
            raise SeriesFileError(f"has more than {MOST_ROWS:,} rows; keep the newest, or a longer period")
        rows.append(row)
    rows = rows[1:] if hint else rows
    if not rows:
        raise SeriesFileError("has no cells; a header and one row for each time are expected")
    sample = rows[:_SAMPLE]
    width = _width(sample)
    first, firm = _first_data(sample, width)
    _refuse_wide(sample[first].cells)
    header, start = _header(rows, first, width)
    _refuse_wide(header)
    labels: list[TableRow] = []
    data = rows[first:]
    known = any(map(is_known, header))  # else the first row of a preamble may be the header
    for row in reversed([row for row in rows[:first] if row.line > start.line]):
        if any(_is_value(row.cells[index]) for index in (firm if known else firm[:1]) if index < len(row.cells)):
            data.insert(0, row)  # a wrong cell in the first rows
        else:
            labels.insert(0, row)
    return _table(header, data, labels, separator, start)


def _rows(text: str, separator: str) -> Iterator[TableRow]:
    """Yield the rows of the lines that are not blank; a row of empty cells is a row."""
    source = lines(text)
    reader = csv.reader(source, delimiter=separator, skipinitialspace=True, strict=True)
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            what = "a quote is not closed or stands inside a cell" if "field limit" not in str(error) else str(error)
            raise SeriesFileError(what, line) from None
        cells = [cell.strip() for cell in cells]
        if separator == " " and cells and not cells[-1]:
            cells.pop()
        if any(cells) or len(cells) > 1:
            yield TableRow(line, cells)


def _separator(text: str) -> str:
    """Return the first separator by which most rows have the same number of cells, below a row without values."""
    for separator in SEPARATORS:
        sample = []
        try:
            for row in _rows(text, separator):
                sample.append(row)
                if len(sample) == _SAMPLE:
                    break
        except SeriesFileError:  # the quotes of another separator
            continue
        width = _width(sample) if sample else 0
        same = sum(len(row.cells) == width for row in sample)
        header = next((row for row in sample if len(row.cells) > 1 and any(row.cells)), None)
        if width > 1 and same > len(sample) / 2 and header and not any(map(_is_value, header.cells)):
            return separator
    return ","


def _width(rows: Sequence[TableRow]) -> int:
    return Counter(len(row.cells) for row in rows).most_common(1)[0][0]


def _is_value(cell: str) -> bool:
    return looks_numeric(cell) or looks_like_time(cell)


def _first_data(rows: Sequence[TableRow], width: int) -> tuple[int, list[int]]:
    """Return the index of the first row of data, and the columns whose cells are numbers or times."""
    full = [row.cells for row in rows if len(row.cells) == width]
    firm = []
    for index in range(width):
        cells = [row[index] for row in full if not is_missing(row[index])]
        if cells and sum(map(_is_value, cells)) >= 0.5 * len(cells):
            firm.append(index)
    if not firm:
        raise SeriesFileError("has no column of numbers; a header and one row for each time are expected")
    for first, row in enumerate(rows):
        cells = [row.cells[index] for index in firm] if len(row.cells) == width else []
        if any(map(_is_value, cells)) and all(is_missing(cell) or _is_value(cell) for cell in cells):
            return first, firm
    raise SeriesFileError("has no row of numbers; a header and one row for each time are expected")


def _refuse_wide(names: Sequence[str]) -> None:
    """Refuse a table with a column for each year or month."""
    times = [name for name in names if is_month(name) or looks_like_time(name) or _YEAR.fullmatch(name)]
    if len(times) > 5:
        raise SeriesFileError(
            f"has one column for each time ({', '.join(times[:3])}, …); one row for each time is expected: transpose it"
        )


def _header(rows: Sequence[TableRow], first: int, width: int) -> tuple[list[str], TableRow]:
    """Return the names of the columns, and the row that has them: the one with the most known names."""
    before = [row for row in rows[:first] if any(row.cells)]
    candidates = [row for row in before if len(row.cells) == width] or [row for row in before if len(row.cells) > 1]
    candidates = candidates or list(before[-1:])
    if not candidates:
        raise SeriesFileError("has no header: values begin at once. Add a line of names, such as Date,Close")

    def score(row: TableRow) -> tuple[bool, int, int]:
        names = row.cells
        return len(set(names)) == len(names), sum(map(is_known, names)), sum(map(bool, names))

    known = any(map(is_known, max(candidates, key=score).cells))
    best = max(reversed(candidates) if known else candidates, key=score)  # units and codes stand below unknown names
    names = [name.strip() for name in best.cells]
    names[0] = names[0].lstrip("# ")
    if len(set(names)) < len(names) and len(candidates) > 1:  # several levels, as pandas writes them
        full = [row.cells for row in candidates if all(row.cells) and len(row.cells) == len(names)]
        levels = [" ".join(column) for column in zip(*full, strict=True)] if full else names
        names = levels if len(set(levels)) == len(levels) else names
    return names, best


def _table(
    header: list[str], rows: Sequence[TableRow], labels: Sequence[TableRow], separator: str, start: TableRow
) -> Table:
    notes = []
    if start.line > 1:
        notes.append(f"header: line {start.line}")
    if labels:
        notes.append(f"rows below the header left out: {len(labels)} ({_lines(labels)})")
    comments = [row for row in rows if row.cells[0].startswith("#")]
    repeated = [row for row in rows if row.cells == start.cells]
    left_out = {row.line for row in (*comments, *repeated)}
    kept = [row for row in rows if row.line not in left_out]
    if comments:
        notes.append(f"comments left out: {len(comments)} ({_lines(comments)})")
    if repeated:
        notes.append(f"repeated headers left out: {len(repeated)} ({_lines(repeated)})")
    kept, header = _fit(kept, header, notes)
    footer: list[TableRow] = []
    while kept and not any(kept[-1].cells):
        kept.pop()
    while kept and len(kept[-1].cells) != len(header) and not _is_value(kept[-1].cells[0]):
        footer.insert(0, kept.pop())
    if footer:
        notes.append(f"lines after the data left out: {len(footer)} ({_lines(footer)})")
    wrong = [row for row in kept if len(row.cells) != len(header)]
    if wrong:
        more = f" (and {len(wrong) - 1} more lines like this)" if len(wrong) > 1 else ""
        cut = wrong[0] is kept[-1] and len(wrong[0].cells) < len(header)
        fix = "; the file may be cut off" if cut else "; numbers with the separator inside need quotes"
        cells = f"{len(wrong[0].cells)} cell{'s' if len(wrong[0].cells) != 1 else ''}"
        raise SeriesFileError(f"{cells}, but the header has {len(header)}{more}{fix}", wrong[0].line)
    return Table(header, kept, separator, notes)


def _fit(rows: list[TableRow], header: list[str], notes: list[str]) -> tuple[list[TableRow], list[str]]:
    """Allow for a separator at the end of lines, and for row names, which have no name in the header."""
    width = _width(rows)
    while len(header) > width and not header[-1]:
        header = header[:-1]
    if width == len(header) + 1:
        longer = [row for row in rows if len(row.cells) == width]
        if not any(row.cells[-1] for row in longer):
            return [TableRow(row.line, row.cells[:-1]) if len(row.cells) == width else row for row in rows], header
        names = [row.cells[0] for row in longer]
        counted = all(name.isdigit() for name in names) and len(set(names)) == len(names)
        dated = all(map(looks_like_time, names))
        shifted = ["", *header]
        time = next((index for index, name in enumerate(shifted) if is_time(name)), None)
        if (dated and time is None) or (
            counted and time is not None and all(looks_like_time(row.cells[time]) for row in longer)
        ):
            notes.append("the first column has no name in the header: taken as names of the rows")
            return rows, shifted
    return rows, header


def _lines(rows: Sequence[TableRow]) -> str:
    return line_numbers([row.line for row in rows])


def line_numbers(numbers: Sequence[int]) -> str:
    """Return line numbers for a message; at most three."""
    shown = ", ".join(map(str, numbers[:3])) + (", …" if len(numbers) > 3 else "")
    return f"line{'s' if len(numbers) > 1 else ''} {shown}"
