"""The program: parse flags, load models, open ports, serve until a signal."""

import asyncio
import contextlib
import gc
import logging
import signal
import sys

from serving.model_server import flags, ports, startup
from serving.model_server.errors import ServingError
from serving.model_server.flags import Flags

logger = logging.getLogger("serving.model_server")

_GRACE_SECONDS = 30.0  # for calls in flight at the end
_FAILED = 255  # the exit code of tensorflow_model_server's "return -1"


def main() -> int:
    """Serve, and return the exit code."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname).1s %(name)s] %(message)s")
    try:
        parsed = flags.parse(sys.argv[1:])
        if parsed.flags.version:
            print("TensorFlow ModelServer: 2.21.0 (compatible; Vitrine's embedded model server)")
            return 0
        if parsed.unknown:
            print(*(f"unknown argument: {argument}" for argument in parsed.unknown), flags.usage(), sep="\n")
        for name in parsed.without_effect:
            logger.warning("--%s has no effect in the embedded model server", name)
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(serve(parsed.flags))
    except flags.FlagError as error:
        return _failed(str(error), flags.usage())
    except ServingError as error:
        return _failed(f"Failed to start server. Error: {error.describe()}")
    return 0


async def serve(settings: Flags) -> None:
    """Load all models, open the ports, and serve until SIGTERM or SIGINT.

    Raises:
        ServingError: The server cannot start.
    """
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    ports.check(settings)
    inference = startup.build(settings)
    loading = asyncio.create_task(startup.load(settings, inference))
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait((loading, stopping), return_when=asyncio.FIRST_COMPLETED)
    try:
        if not stop.is_set():
            await loading
            gc.collect()
            gc.freeze()  # objects that live as long as the server
            opened = await ports.open(settings, inference)
            await stopping
            logger.info("stopping; calls in flight may finish")
            await opened.close(_GRACE_SECONDS)
    finally:
        loading.cancel()
        stopping.cancel()
        await inference.close()


def _failed(*lines: str) -> int:
    """Report the reason on standard output, as TensorFlow Serving does, and in the log."""
    logger.error(lines[0])
    print(*lines, sep="\n")
    return _FAILED


def _loop_factory() -> type[asyncio.AbstractEventLoop] | None:
    with contextlib.suppress(ImportError):  # not on Windows
        import uvloop

        return uvloop.Loop
    return None
