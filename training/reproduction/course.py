"""Course documents and their exercises, described in English and Portuguese."""

from dataclasses import dataclass, field
from typing import NamedTuple


class Text(NamedTuple):
    """A text in English and in European Portuguese."""

    en: str
    pt: str


@dataclass(frozen=True)
class Document:
    """A course document; ``key`` stands on the model cards."""

    title: Text
    key: str | None = None


@dataclass(frozen=True)
class System:
    """One section of the page.

    Attributes:
        document: the course document.
        place: exercise or notebook in the document.
        title: heading.
        exercise: what the document asks for, in two sentences.
        differences: why our figures differ from the printed ones, or why there is nothing to compare.
        names: jobs and studies.
        exact: facts that they assert.
    """

    document: Document
    place: Text
    title: Text
    exercise: Text
    differences: Text
    names: tuple[str, ...] = field(kw_only=True)
    exact: Text | None = None


@dataclass(frozen=True)
class Question:
    """A written or multiple-choice question of a document, with our answer.

    Attributes:
        place: exercise, or theme in the document.
        question: the question in one sentence.
        answer: our answer with the reason; ``{job:metric}`` stands for a figure of our results.
        option: letter of the option that we choose; empty without options.
        shown_by: jobs and studies that show it.
    """

    place: Text
    question: Text
    answer: Text
    option: str = ""
    shown_by: tuple[str, ...] = ()
