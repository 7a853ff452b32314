"""Cron schedules as Kubernetes reads them.

Kubernetes parses ``spec.schedule`` with the Go package robfig/cron. Its rules differ from other crons: Sunday is 0 and
never 7, ``?`` means ``*``, and a time zone belongs in ``spec.timeZone``.
"""

import re
import zoneinfo

from training.core.errors import JobError

#: Schedules with a name.
MACROS = ("@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly")

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
#: Name, lowest and highest value, and names of the values of each field.
_FIELDS: tuple[tuple[str, int, int, tuple[str, ...]], ...] = (
    ("minute", 0, 59, ()),
    ("hour", 0, 23, ()),
    ("day of the month", 1, 31, ()),
    ("month", 1, 12, _MONTHS),
    ("day of the week", 0, 6, _DAYS),
)
#: One element of a field's list: a value, a range or all values, and the step.
_ELEMENT = re.compile(r"(?:[*?]|(?P<first>\w+)(?:-(?P<last>\w+))?)(?:/(?P<step>\d+))?", re.ASCII)


def check_schedule(schedule: str) -> None:
    """Raise JobError if Kubernetes would refuse the schedule."""
    if schedule.lower() in MACROS:
        return
    fields = schedule.split()
    if schedule.startswith("@"):
        raise JobError(f"--schedule is {schedule!r}; five fields or one of {', '.join(MACROS)} are expected")
    if "TZ=" in schedule:
        raise JobError(f"--schedule is {schedule!r}; give the time zone with --time-zone instead")
    if len(fields) != len(_FIELDS):
        raise JobError(
            f"--schedule is {schedule!r}; cron's five fields are expected: minute hour day month weekday, "
            f"or one of {', '.join(MACROS)}"
        )
    for field, (name, lowest, highest, names) in zip(fields, _FIELDS, strict=True):
        values = {word: number for number, word in enumerate(names, lowest)}
        if not all(_is_valid(element, lowest, highest, values) for element in field.split(",")):
            known = f", {names[0]}–{names[-1]}" if names else ""
            raise JobError(
                f"--schedule is {schedule!r}, and its {name} is {field}; {lowest}–{highest}{known}, *, ranges (1-5), "
                "lists (1,3) and steps (*/2) are expected"
            )


def _is_valid(element: str, lowest: int, highest: int, values: dict[str, int]) -> bool:
    match = _ELEMENT.fullmatch(element)
    if match is None or (match["step"] and int(match["step"]) == 0):
        return False
    if match["first"] is None:
        return True
    ends = [_number(word, values) for word in (match["first"], match["last"] or match["first"])]
    return lowest <= ends[0] <= ends[1] <= highest


def _number(word: str, values: dict[str, int]) -> int:
    """Return the value of a number or name; -1 for another word."""
    return int(word) if word.isdecimal() else values.get(word.lower(), -1)


def check_time_zone(zone: str) -> None:
    """Raise JobError if the time zone database has no such zone."""
    if zone not in zoneinfo.available_timezones():
        raise JobError(f"--time-zone is {zone!r}; a name of the time zone database is expected, such as Europe/Berlin")
