"""Patterns of the forms in which times are written."""

import re

#: Precisions in ascending order; a column has that of its finest cell.
YEAR, QUARTER, MONTH, DAY, CLOCK = range(5)

#: Numbers of months by the start of their name, in English, German, French, Spanish, Portuguese and Italian.
MONTHS = {
    name: number
    for number, names in enumerate(
        (
            "jan ene gen janv",
            "feb fev fév febr févr",
            "mar mrz mär mars märz maer",
            "apr abr avr",
            "may mai mag maio mayo",
            "jun juin giu",
            "jul juil lug",
            "aug ago aou aoû août",
            "sep set sept",
            "oct okt out ott",
            "nov",
            "dec dez dic déc",
        ),
        1,
    )
    for name in names.split()
}
LONG_MONTHS = "january|february|march|april|june|july|august|september|october|november|december"
TIME_OF_DAY = re.compile(r"\d{1,2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?:\s*[AaPp]\.?[Mm]\.?)?|\d{1,6}")
_CLOCK = (
    r"(?:(?:T|,?\s+|:)(?P<H>\d{1,2}):(?P<M>\d{2})(?::(?P<S>\d{2})(?:[.,]\d+)?)?\s*(?P<half>[AaPp]\.?[Mm]\.?)?"
    r"\s*(?P<zone>Z|(?:UTC|GMT)?\s*[+-]\d{2}:?(?:\d{2})?|[A-Z]{2,5}|[A-Z]\w+/\w+)?(?:\s*[\[(].*[\])])?)?(?P<only>Z)?"
)
_WEEKDAY = r"(?:[^\W\d_]{2,10}\.?,?\s+)?"
_NAME = r"(?P<name>[^\W\d_]{3,10})\.?"
_DAY = r"(?P<d>\d{1,2})(?:st|nd|rd|th|\.|º)?"
_LONG_YEAR = r"(?P<y>\d{4})"
_ANY_YEAR = r"(?:'|\s*de\s+)?(?P<y>\d{4}|\d{2})"
_GAP = r"(?:\s*[-/.,]\s*|\s+(?:de\s+)?)"
#: Precision and pattern of the forms of a time. Groups: y, m, d; a and b in either order; name; q; w, wd; H, M, S.
FORMS = tuple(
    (precision, re.compile(form, re.ASCII if "name" not in form else 0))
    for precision, form in (
        (DAY, rf"(?P<y>\d{{4}})([-/.])(?P<m>\d{{1,2}})\2(?P<d>\d{{1,2}}){_CLOCK}"),
        (DAY, rf"(?P<a>\d{{1,2}})([-/.])(?P<b>\d{{1,2}})\2(?P<y>\d{{4}}|\d{{2}}){_CLOCK}"),
        (DAY, rf"{_WEEKDAY}{_DAY}{_GAP}{_NAME}{_GAP}{_ANY_YEAR}{_CLOCK}"),
        (DAY, r"(?P<d>\d{1,2})(?P<name>[^\W\d_]{3})(?P<y>\d{4}|\d{2})"),
        (DAY, rf"{_WEEKDAY}{_NAME}{_GAP}{_DAY}{_GAP}{_LONG_YEAR}{_CLOCK}"),
        (DAY, rf"{_LONG_YEAR}{_GAP}{_NAME}{_GAP}{_DAY}{_CLOCK}"),
        (MONTH, rf"{_NAME}{_GAP}{_ANY_YEAR}"),
        (MONTH, rf"{_LONG_YEAR}{_GAP}{_NAME}"),
        (MONTH, r"(?P<y>\d{4})(?:[-/]|[-\s]*M)(?P<m>\d{1,2})"),
        (MONTH, r"(?P<m>\d{1,2})[-/.](?P<y>\d{4})"),
        (QUARTER, r"(?P<y>\d{4})[-/ ]?[QqTK](?P<q>[1-4])"),
        (QUARTER, r"[QqTK](?P<q>[1-4])[-/ ](?P<y>\d{4})"),
        (DAY, r"(?P<y>\d{4})-?W(?P<w>\d{2})(?:-?(?P<wd>[1-7]))?"),
    )
)
#: Forms that are plain numbers too, so that the column's name must say that it is a time.
NUMBER_FORMS = (
    (
        DAY,
        re.compile(
            r"(?P<y>(?:18|19|20|21)\d{2})(?P<m>\d{2})(?P<d>\d{2})(?:[ T]*(?P<H>\d{2}):?(?P<M>\d{2}):?(?P<S>\d{2})?)?"
        ),
    ),
    (MONTH, re.compile(r"(?P<y>(?:18|19|20|21)\d{2})[-/.]?(?P<m>0[1-9]|1[0-2])")),
    (YEAR, re.compile(r"(?P<y>(?:1[5-9]|20|21)\d{2})")),
)
EPOCH = re.compile(r"(\d{9,10}|\d{12,13}|\d{15,16}|\d{18,19})(\.\d+)?")
EXCEL_DAY = re.compile(r"[2-7]\d{4}(\.\d+)?")  # 1954 to 2119
