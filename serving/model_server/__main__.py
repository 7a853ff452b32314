"""``python -m serving.model_server``."""

import os
import sys


def main() -> None:
    """Serve until told to stop, and end the process."""
    from serving.model_server import server
    from serving.model_server.core import memory

    memory.share_one_arena()
    code = server.main()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # not sys.exit: that would wait for a load that is under way in a thread


if __name__ == "__main__":
    main()
