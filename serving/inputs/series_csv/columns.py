"""Choose the columns of times and values by their names: exact names before similar ones, and never by guessing."""

import re
from collections.abc import Sequence

from serving.inputs.series_csv.errors import SeriesFileError
from serving.inputs.series_csv.numbers import is_currency

_TIMES = (
    "date|datetime|time|timestamp|date time|day|month|quarter|year|period|time period|ds|dt|week|observation date|"
    "trade date|trading date|business date|datum|zeit|zeitpunkt|tag|monat|jahr|data|dia|mês|mes|ano|fecha|año|jour|"
    "mois|année|giorno|anno|unix|unix timestamp|epoch|begin|start"
)
_ADJUSTED = (
    "adjusted|adj close|adjusted close|adjclose|adj closing price|adjusted closing price|close adj|close adjusted"
)
_CLOSE = (
    "close|closing price|close price|closing|price close|px last|px close|schlusskurs|schluss|fechamento|cierre|"
    "clôture|cloture|chiusura|zamknięcie|zamkniecie|slotkoers|slutkurs"
)
_PRICE = (
    "price|last|last price|close last|value|settle|settlement|settlement price|nav|rate|mid|kurs|preis|wert|zuletzt|"
    "letzter|último|ultimo|preço|preco|valor|precio|dernier|prix|valeur|ultimo prezzo|prezzo|ostatnio|laatst|senaste|"
    "obs value|y"
)
#: Names of values, best first. A name is exact, or ends in one of them: "AAPL.Close".
_VALUES = tuple(tuple(names.split("|")) for names in (_ADJUSTED, _CLOSE, _PRICE))
_OTHERS = (
    "prev|previous|prior|pre|yesterday|last|unadjusted|unadj|raw|volume|vol|open|high|low|change|chg|pct|percent|diff|"
    "lag|next|ask|bid|ex|dividend|split|market|marketcap|cap|nominal|vortag|anterior"
)


def normalised(name: str) -> str:
    """Return a name in lower case and words: ``adjClose``, ``4. Adj_Close (USD)`` and ``<CLOSE>`` lose their dress."""
    text = re.sub(r"\(.*?\)|\[.*?\]|^\s*\d+\.\s+", " ", name)
    text = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", text)
    words = " ".join(re.split(r"[^\w%]+|_", text)).split()
    return " ".join(word for word in words if not is_currency(word) or len(words) == 1).lower()


def is_known(name: str) -> bool:
    """Whether a name is that of times or values, exactly."""
    plain = normalised(name)
    return is_time(name) or any(plain in names for names in _VALUES)


def is_time(name: str) -> bool:
    """Whether a name is that of times."""
    return normalised(name) in _TIMES.split("|")


def by_name(header: Sequence[str], name: str, option: str) -> int:
    """Return the index of the column that an option names: exactly, or else but for case and punctuation.

    Raises:
        SeriesFileError: no column or several have that name.
    """
    for same in (lambda one: one == name.strip(), lambda one: normalised(one) == normalised(name)):
        found = [index for index, one in enumerate(header) if same(one)]
        if len(found) > 1:
            raise SeriesFileError(f"has {len(found)} columns {name!r}; give them different names")
        if found:
            return found[0]
    raise SeriesFileError(f"has no column {name!r} for {option}; it has: {listed(header)}")


def choose_time(header: Sequence[str], dated: Sequence[int], timely: Sequence[int]) -> int | None:
    """Return the index of the time column, if any.

    Args:
        header: names of the columns.
        dated: indices of the columns whose cells look like dates.
        timely: indices of the columns whose cells may be times if the name says so.

    Raises:
        SeriesFileError: several columns may be it.
    """
    named = [index for index in timely if is_time(header[index])]
    similar = [index for index in timely if {"date", "time"} & set(normalised(header[index]).split())]
    for candidates in ([index for index in named if index in dated], named, similar, list(dated)):
        unique = [index for index in candidates if normalised(header[index]) == "date"] or candidates
        if len(unique) == 1:
            return unique[0]
        if unique:
            raise SeriesFileError(
                f"has several columns of times: {listed([header[index] for index in unique])}; choose with "
                "--time-column"
            )
    return None


def choose_value(header: Sequence[str], numeric: Sequence[int]) -> tuple[int, str | None]:
    """Return the index of the column of values, and why another column with a similar name was not chosen.

    Args:
        header: names of the columns.
        numeric: indices of the columns of numbers, without times and row numbers.

    Raises:
        SeriesFileError: no column or several may be it.
    """
    if not numeric:
        raise SeriesFileError(f"has no column of numbers; its columns are: {listed(header)}")
    if len(numeric) == 1:
        return numeric[0], None
    plain = {index: normalised(header[index]) for index in numeric}
    for rank, names in enumerate(_VALUES):
        exact = [index for index, name in plain.items() if name in names]
        similar = [
            index
            for index, name in plain.items()
            if any(name.endswith(f" {one}") for one in names) and not set(_OTHERS.split("|")) & set(name.split())
        ]
        for candidates in (exact, similar):
            if len(candidates) == 1:
                return candidates[0], _instead(header, plain, rank)
            if candidates:
                raise SeriesFileError(
                    f"has several columns of values: {listed([header[index] for index in candidates])}; "
                    "choose with --column"
                )
    raise SeriesFileError(
        f"has several columns of numbers; choose with --column: {listed([header[i] for i in numeric])}"
    )


def _instead(header: Sequence[str], plain: dict[int, str], rank: int) -> str | None:
    raw = next((header[index] for index, name in plain.items() if rank == 0 and name in _VALUES[1]), None)
    return raw and f"not {raw}, which splits and dividends distort"


def listed(names: Sequence[str]) -> str:
    """Return names for a message; at most 20."""
    shown = [name[:40] or "(no name)" for name in names[:20]]
    return ", ".join(shown) + (f" and {len(names) - 20} more" if len(names) > 20 else "")
