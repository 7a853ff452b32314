"""``python -m serving.model_server``."""

import os
import sys


def main() -> None:
    """Serve until a signal, and end the process."""
    from serving.model_server import server
    from serving.model_server.core import memory

    memory.share_one_arena()
    code = server.main()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # sys.exit would wait for loads in their threads


if __name__ == "__main__":
    main()
