"""The README is short, and its commands and links are right. ``tests/docs`` runs the commands."""

import re

import pytest

from tests.docs.command_blocks import Command, read
from tests.programs import REPOSITORY

README = (REPOSITORY / "README.md").read_text(encoding="utf-8")
MOST_WORDS = 900


def test_the_readme_is_short() -> None:
    assert len(README.split()) <= MOST_WORDS


@pytest.mark.parametrize(
    "command", ["vitrine predict ", "curl ", "make up", "make test", "make docs", "docker compose up"]
)
def test_the_readme_has_the_first_commands(command: str) -> None:
    assert command in README


def test_three_lines_lead_to_an_answer() -> None:
    section = README.partition("## Three lines to an answer")[2].partition("\n## ")[0]
    commands = [part for part in read(section) if isinstance(part, Command) and part.shown]
    assert len(commands) == 3


@pytest.mark.parametrize("path", sorted(set(re.findall(r"\]\(([^)#:]+)\)", README))))
def test_linked_files_exist(path: str) -> None:
    assert (REPOSITORY / path).exists()
