"""``python -m serving.gateway``: see ``--help``."""

import sys
from collections.abc import Sequence

from pydantic import ValidationError
from pydantic_settings import CliApp, CliSettingsSource

from serving.gateway.errors import field_error
from serving.gateway.settings import Settings
from serving.gateway.workers.limits import worker_count


def read_settings(arguments: Sequence[str], program: str = "python -m serving.gateway") -> Settings:
    """Read flags and environment variables. ``program`` is the name in the help.

    Raises:
        ValidationError: a setting is wrong; :func:`report` prints which.
    """
    source: CliSettingsSource[Settings] = CliSettingsSource(Settings, cli_prog_name=program)
    return CliApp.run(Settings, list(arguments), cli_settings_source=source)


def report(error: ValidationError) -> None:
    """Print one line for each wrong setting."""
    for wrong in error.errors():
        print(field_error(wrong, "settings"), file=sys.stderr)


def run(settings: Settings) -> None:
    """Serve, in this process or with several workers."""
    workers = worker_count(settings)
    if workers > 1:
        from serving.gateway.workers import supervisor  # of the two, import only what this process runs

        sys.exit(supervisor.run(settings, workers))
    from serving.gateway.http import server

    server.run(settings)


def main() -> None:
    """Serve with the settings of the command line."""
    try:
        settings = read_settings(sys.argv[1:])
    except ValidationError as error:
        report(error)
        sys.exit(2)
    run(settings)


if __name__ == "__main__":
    main()
