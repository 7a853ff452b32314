"""``python -m serving.gateway.workers.worker FD``: one worker, started by the supervisor.

FD is the worker's end of the control connection, which also brings its settings.
"""

import socket
import sys

from serving.gateway.http import server
from serving.gateway.settings import Settings
from serving.gateway.workers.supervisor_link import SupervisorLink


async def _work(descriptor: int) -> None:
    link = SupervisorLink(socket.socket(fileno=descriptor))
    settings = Settings(**await link.open())
    server.set_up_process(settings, link.worker)
    await server.serve(settings, link)


if __name__ == "__main__":
    server.run_and_exit(_work(int(sys.argv[1])))
