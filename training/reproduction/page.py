"""Write the page from the results, as Markdown in English and in Portuguese."""

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from pathlib import Path

from training.core.catalogue import JOBS
from training.reproduction.course import Question
from training.reproduction.results import Results
from training.reproduction.rows import Row, RowEntry, duration, rows
from training.reproduction.systems import QUESTIONS
from training.reproduction.words import ENGLISH, INTRO, PORTUGUESE, Language

FILES = {"index.md": ENGLISH, "pt.md": PORTUGUESE}
_FIGURE = re.compile(r"\{(\w+):([^}]+)\}")


def write(folder: Path, results: Results) -> list[Path]:
    """Write index.md and pt.md; return both paths."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, language in FILES.items():
        (folder / name).write_text(page(results, language), encoding="utf-8")
    return [folder / name for name in FILES]


def page(results: Results, say: Language) -> str:
    """Return the page in a language."""
    systems = rows(results)
    other = "[Em português](pt.md)" if say is ENGLISH else "[In English](index.md)"
    blocks = [f"# {say('Reproduction of the courses')}", other, say(INTRO), *_overview(systems, say)]
    for document, group in groupby(systems, lambda row: row.system.document):
        blocks.append(f"## {say(document.title)}")
        if document.key:
            blocks.append(f"{say('Document')} `{document.key}` {say('on the model cards')}.")
        for row in group:
            blocks += _section(row, say)
        if questions := QUESTIONS.get(document):
            blocks.append(f"### {say('Questions and answers')}")
            blocks += [block for question in questions for block in _question(question, results, say)]
    if say is not ENGLISH:
        blocks = [f'<div lang="{say.code}" markdown>', *blocks, "</div>"]
    return "\n\n".join(blocks) + "\n"


def _overview(systems: list[Row], say: Language) -> Iterator[str]:
    """Yield a table with the first printed figure of each job and study, and how many ran in full."""
    entries = [entry for row in systems for entry in row.entries]
    full = sum(entry.state == "full run" for entry in entries)
    yield f"## {say('Overview')}"
    yield say("{full} of {all} jobs and studies ran in full and without stand-in data.").format(
        full=full, all=len(entries)
    )
    compared = [
        (f"{say(row.system.title)}, {say(figure.name)}", say.number(figure.printed), say.number(figure.ours))
        for row in systems
        for entry in row.entries
        for figure in entry.figures[:1]
        if figure.difference is not None
    ]
    yield _table([(say("exercise"), say("printed"), say("ours")), *compared])


def _question(question: Question, results: Results, say: Language) -> Iterator[str]:
    """Yield the question, then the answer with links to the sections of the jobs and studies that show it."""

    def figure(found: re.Match[str]) -> str:
        result = results.results.get(found[1])
        return say.number(result.figures.get(found[2]) if result else None)

    yield f"**{say(question.place)}.** {say(question.question)}"
    option = f" ({question.option})" if question.option else ""
    answer = f"*{say('Answer')}{option}.* {_FIGURE.sub(figure, say(question.answer))}"
    if question.shown_by:
        links = ", ".join(f"[{name}](#{name})" for name in question.shown_by)
        answer += f" {say('See')} {links}."
    yield answer


def _section(row: Row, say: Language) -> Iterator[str]:
    system = row.system
    yield f"### {say(system.title)}"
    yield f"**{say(system.place)}.** {say(system.exercise)}"
    if system.exact and row.asserted:
        yield f"{say('Asserted:')} {say(system.exact)}"
    yield say(system.differences)
    for entry in row.entries:
        yield from _entry(entry, say)


def _entry(entry: RowEntry, say: Language) -> Iterator[str]:
    """Yield code file, run, figures or the study's table, and plots."""
    folder = "training/jobs" if entry.name in JOBS else "training/experiments/studies"
    code = f'<a id="{entry.name}"></a>`{folder}/{entry.name}.py`'
    result = entry.result
    if result is None:
        yield f"{code}: {say('not run')}."
        return
    run = [say("run of {date}").format(date=f"{result.finished:%Y-%m-%d}"), duration(result.seconds)]
    run += [f"commit {result.commit}"] * bool(result.commit)
    if result.status == "failed":
        yield f"{code}: {run[0]}, {say('failed')}: `{result.reason}`"
        return
    yield f"{code}: {', '.join(run)}."
    if result.quick:
        yield f"**{say('Quick run with a shortened recipe: its figures mean little.')}**"
    if result.stand_in:
        yield f"**{say('Stand-in data: the figures say nothing about the real task.')}**"
    if result.printed:
        figures = [
            (
                say(figure.name),
                say.number(figure.printed),
                say.number(figure.ours),
                say.number(figure.difference, signed=True),
            )
            for figure in entry.figures
        ]
        yield _table([(say("figure"), say("printed"), say("ours"), say("difference")), *figures])
    elif result.rows:
        yield _table([say.cell(cell) for cell in line] for line in (result.columns, *result.rows))
    else:
        yield _table([(say("figure"), say("ours")), *((say(one.name), say.number(one.ours)) for one in entry.figures)])
    for plot in result.plots:
        kind = plot.removeprefix(f"{entry.name}-").removesuffix(".png")
        yield f"![{entry.name}: {say(kind)}](plots/{plot})"


def _table(lines: Iterable[Sequence[str]]) -> str:
    """Return a table; its first line is the head, and its first column text."""
    head, *body = ([cell.replace("|", "\\|") for cell in line] for line in lines)
    rule = ["---", *["---:"] * (len(head) - 1)]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (head, rule, *body))
