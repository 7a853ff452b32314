"""``python -m serving.gateway``: see ``--help``."""

import sys

from pydantic import ValidationError
from pydantic_settings import CliApp

from serving.gateway.http.server import run
from serving.gateway.settings import Settings


def main() -> None:
    try:
        settings = CliApp.run(Settings)
    except ValidationError as error:
        for wrong in error.errors():
            print(f"{'.'.join(map(str, wrong['loc'])) or 'settings'}: {wrong['msg']}", file=sys.stderr)
        sys.exit(2)
    run(settings)


if __name__ == "__main__":
    main()
