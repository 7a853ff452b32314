"""Write the generated pages: ``python -m tests.docs.reference``."""

from tests.docs.reference.pages import FOLDER, pages

for name, text in pages().items():
    (FOLDER / name).write_text(text, encoding="utf-8")
