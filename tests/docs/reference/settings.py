"""Page of the gateway's settings."""

import inspect
import re
from collections.abc import Iterator

from serving.gateway.observability.request_log.settings import RequestLogSettings
from serving.gateway.settings import Settings
from tests.docs.reference.markdown import code, page, table

_INTRODUCTION = """
The gateway reads each setting from a flag or from a variable: `--max-rows 64` or `VITRINE_MAX_ROWS=64`. The flag
wins. An unknown flag, and a value that cannot be right, end the start with a sentence that says what is expected.

`vitrine up` has flags of its own ([command line](cli.md#vitrine-up)) and passes the variables on. The container
images and the manifests set variables. [Limits](limits.md) explains the limits, and [several
processes](../operations/workers.md) how workers divide them.
"""

_OTHERS = """
## Variables of other programs

| variable | program | description |
| --- | --- | --- |
| `VITRINE_URL` | `vitrine predict`, `embed`, `forecast` | address of the gateway |
| `VITRINE_KEY` | the same | API key that they send |
| `VITRINE_EXPORTS` | all commands that read or publish versions | folder of all models, or `s3://…`, `gs://…` |
| `VITRINE_SIGNING_KEY` | `vitrine train`, `sign` | Ed25519 private key, PEM file |
| `VITRINE_DATA` | `vitrine train` and the other training commands | folder with [data sets](../how-to/train.md#data) |
| `OTEL_EXPORTER_OTLP_ENDPOINT` | the gateway | address that traces are sent to; none are sent without it |
"""


def render() -> str:
    """Return the page."""
    parts = []
    for section, names in _sections():
        rows = []
        for name in names:
            field = Settings.model_fields[name]
            rows.append((code(f"VITRINE_{name.upper()}"), code(field.default), field.description or ""))
        parts += [f"## {section}", table(("variable", "default", "description"), rows)]
    return page("Settings of the gateway", "serving/gateway/settings.py", _INTRODUCTION, *parts, _OTHERS)


def _source() -> str:
    """Return the source of the settings, those of the request log last."""
    return inspect.getsource(Settings) + inspect.getsource(RequestLogSettings)


def _sections() -> Iterator[tuple[str, list[str]]]:
    """Yield the comments that group the fields, each with its fields."""
    section, names = "", list[str]()
    for comment, name in re.findall(r"^    (?:# ([A-Z].*)|(\w+): )", _source(), re.MULTILINE):
        if comment:
            if names:
                yield section, names
            section, names = comment, []
        elif name in Settings.model_fields:
            names.append(name)
    yield section, names
