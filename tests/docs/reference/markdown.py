"""Markdown of generated pages."""

from collections.abc import Iterable, Sequence


def page(title: str, source: str, *parts: str) -> str:
    """Return a page; ``source`` names the code that it is generated from."""
    head = f"<!-- Generated from {source} by make docs-reference. Do not edit. -->\n\n# {title}"
    return "\n\n".join([head, *(part.strip("\n") for part in parts if part.strip())]) + "\n"


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table. Vertical bars in cells are escaped, line breaks become spaces."""
    lines = [list(columns), ["---"] * len(columns)]
    lines += [[" ".join(cell.replace("|", "\\|").split()) for cell in row] for row in rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def code(text: object) -> str:
    """Return inline code; a dash for nothing."""
    return f"`{text}`" if text not in (None, "") else "–"
