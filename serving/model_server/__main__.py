"""``python -m serving.model_server``."""

import os
import sys

from serving import extras


def main() -> None:
    """Serve until a signal, and end the process."""
    try:
        from serving.model_server import server
        from serving.model_server.core import memory
    except ImportError as error:
        raise extras.named("vitrine-model-server", error) from None
    memory.share_one_arena()
    code = server.main()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # sys.exit would wait for loads in their threads


if __name__ == "__main__":
    main()
