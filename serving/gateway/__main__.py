"""``python -m serving.gateway``: see ``--help``."""

import sys

from pydantic import ValidationError
from pydantic_settings import CliApp

from serving.gateway.settings import Settings
from serving.gateway.workers.limits import worker_count


def main() -> None:
    """Serve, in this process or with several workers."""
    try:
        settings = CliApp.run(Settings)
    except ValidationError as error:
        for wrong in error.errors():
            print(f"{'.'.join(map(str, wrong['loc'])) or 'settings'}: {wrong['msg']}", file=sys.stderr)
        sys.exit(2)
    workers = worker_count(settings)
    if workers > 1:
        from serving.gateway.workers import supervisor  # of the two, import only what this process runs

        sys.exit(supervisor.run(settings, workers))
    from serving.gateway.http import server

    server.run(settings)


if __name__ == "__main__":
    main()
