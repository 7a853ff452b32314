"""Write the page, as Markdown and as HTML, from the results that lie beside it."""

from pathlib import Path

from training.reproduction import html, markdown
from training.reproduction.results import Results
from training.reproduction.rows import rows


def write(folder: Path, results: Results) -> list[Path]:
    """README.md, so that a code host shows it, and index.html; both paths."""
    folder.mkdir(parents=True, exist_ok=True)
    made = rows(results)
    texts = {folder / "README.md": markdown.page(made), folder / "index.html": html.page(made)}
    for path, text in texts.items():
        path.write_text(text, encoding="utf-8")
    return list(texts)
