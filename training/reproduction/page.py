"""Write the page from the results, as Markdown and as HTML."""

from pathlib import Path

from training.reproduction import html, markdown
from training.reproduction.results import Results
from training.reproduction.rows import rows


def write(folder: Path, results: Results) -> list[Path]:
    """Write README.md, which code hosts display, and index.html; return both paths."""
    folder.mkdir(parents=True, exist_ok=True)
    systems = rows(results)
    texts = {folder / "README.md": markdown.page(systems), folder / "index.html": html.page(systems)}
    for path, text in texts.items():
        path.write_text(text, encoding="utf-8")
    return list(texts)
