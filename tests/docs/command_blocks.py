"""Commands and scripts in Markdown pages: ``console`` and ``python`` blocks, and what comments say about them.

A comment on a line of its own concerns the next block, or is a command that readers do not see:

    <!-- not run: needs a cluster -->
    <!-- run by tests/e2e/test_up.py::test_the_printed_commands_work -->
    <!-- run: vitrine up -->
"""

import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass, replace

_PART = re.compile(
    r"^ *<!-- (?P<kind>not run|run by|run)\b:? ?(?P<text>.*?) ?-->$"
    r"|^(?P<indent> *)(?P<marks>```+|~~~+) *(?P<language>\w*)[^\n]*\n(?P<block>.*?)^ *(?P=marks)$",
    re.MULTILINE | re.DOTALL,
)
_PROGRAMS = r"(\$ |(\.venv/bin/)?(vitrine|vitrine-model-server|python3?|pip|make|curl|docker|kubectl) )"
_COMMAND = re.compile(rf"^{_PROGRAMS}", re.MULTILINE)
_INDENTED_COMMAND = re.compile(rf"^(    |\t){_PROGRAMS}", re.MULTILINE)


@dataclass(frozen=True)
class Command:
    """A command or Python script to run: its line in the page, and the output that the page shows."""

    line: int
    text: str
    script: bool = False
    shown: str = ""


@dataclass(frozen=True)
class Elsewhere:
    """A block that another test runs, or that none runs for a reason."""

    line: int
    test: str = ""
    reason: str = ""


class PageError(ValueError):
    """A page breaks the convention."""


def read(page: str) -> list[Command | Elsewhere]:
    """Return the commands of a page, in order.

    Raises:
        PageError: a comment without a block or without a reason, a command outside of ``console`` blocks.
    """
    found: list[Command | Elsewhere] = []
    pending: Elsewhere | None = None  # until the block that the comment concerns
    end = 0
    for part in _PART.finditer(page):
        between, end = page[end : part.start()], part.end()
        line = page.count("\n", 0, part.start()) + 1
        if _INDENTED_COMMAND.search(between):
            raise PageError(f"before line {line}: an indented command; a console block is expected")
        if pending and (between.strip() or part["language"] not in ("console", "python")):
            raise PageError(f"line {pending.line}: a console or python block is expected after the comment")
        if pending:
            found.append(pending)
            pending = None
        elif not part["kind"]:
            found += _block(line, part["language"], textwrap.dedent(part["block"]))
        elif not part["text"]:
            raise PageError(f"line {line}: the comment lacks a reason, test or command")
        elif part["kind"] == "run":
            found.append(Command(line, part["text"]))
        else:
            by_test = part["kind"] == "run by"
            pending = Elsewhere(line, **{"test" if by_test else "reason": part["text"]})
    if _INDENTED_COMMAND.search(page[end:]):
        raise PageError("at the end: an indented command; a console block is expected")
    if pending:
        raise PageError(f"line {pending.line}: a console or python block is expected after the comment")
    return found


def _block(line: int, language: str, block: str) -> Iterator[Command]:
    if language == "console":
        yield from _commands(line + 1, block)
    elif language == "python":
        yield Command(line, block, script=True)
    elif language in ("sh", "bash", "shell", "zsh") or (language in ("", "text") and _COMMAND.search(block)):
        raise PageError(f"line {line}: commands in a block of another language; console is expected, and $")


def _commands(first: int, block: str) -> Iterator[Command]:
    """Split a block into commands, each with its continuation lines and the output that follows."""
    command: Command | None = None
    for number, line in enumerate(block.splitlines(), first):
        if command and command.text.endswith("\\") and not command.shown:
            command = replace(command, text=f"{command.text}\n{line}")
        elif line.startswith("$ "):
            if command:
                yield command
            command = Command(number, line.removeprefix("$ "))
        elif command:
            command = replace(command, shown=f"{command.shown}{line}\n")
        else:
            raise PageError(f"line {number}: a console block begins with $ and a command")
    if command:
        yield command
