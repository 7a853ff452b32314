"""README names every command, job and setting of the gateway."""

from pathlib import Path

import pytest

from serving.gateway.settings import Settings
from tests.programs import REPOSITORY
from training.core.catalogue import JOBS

README = (REPOSITORY / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", [*JOBS, "make up", "make test"])
def test_readme_names_all_jobs_and_commands(name: str) -> None:
    assert f"`{name}`" in README or f"    {name} " in README


@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_setting_is_in_the_table_with_its_default(name: str) -> None:
    default = Settings.model_fields[name].default
    assert f"| `VITRINE_{name.upper()}` | `{default}` |" in README


def test_linked_files_exist() -> None:
    for path in ("docs/page.png", "benchmarks/README.md", "examples/ankle_boot.png", "examples/cross.jpg"):
        assert path in README and Path(REPOSITORY, path).is_file()
