"""The generated pages are those of the present code, and the catalogue of jobs is complete."""

import difflib

import pytest

from tests.docs.reference.pages import FOLDER, pages
from training.core.catalogue import JOBS, STUDIES


@pytest.fixture(scope="module")
def generated() -> dict[str, str]:
    return pages()


@pytest.mark.parametrize("name", ["cli.md", "errors.md", "http-api.md", "metrics.md", "model-card.md", "settings.md"])
def test_a_generated_page_is_current(name: str, generated: dict[str, str]) -> None:
    committed = (FOLDER / name).read_text(encoding="utf-8")
    change = "\n".join(difflib.unified_diff(committed.splitlines(), generated[name].splitlines(), lineterm="", n=0))
    assert not change, f"run make docs-reference and commit the pages:\n{change}"


def test_every_generated_page_is_compared(generated: dict[str, str]) -> None:
    marked = {path.name for path in FOLDER.glob("*.md") if path.read_text().startswith("<!-- Generated from")}
    assert marked == generated.keys()


@pytest.mark.parametrize("name", [*JOBS, *STUDIES])
def test_every_job_and_study_is_in_the_catalogue(name: str) -> None:
    assert f"`{name}`" in (FOLDER / "jobs.md").read_text(encoding="utf-8")
