"""Ray Serve: one replica that batches up to 64, the picture as the body; no access log.

https://docs.ray.io/en/latest/serve/advanced-guides/dyn-req-batch.html
https://docs.ray.io/en/latest/serve/advanced-guides/performance.html
"""

import argparse
import os
import signal
from pathlib import Path
from typing import Any

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")

import ray
from ray import serve
from ray.serve.schema import LoggingConfig
from starlette.requests import Request
from starlette.responses import JSONResponse

from benchmarks.peers.model import Classifier, answer, pixels

MOST_REQUESTS = 512  # at once, more than are ever sent here


@serve.deployment(max_ongoing_requests=MOST_REQUESTS, ray_actor_options={"num_cpus": 1})
class FashionCnn:
    def __init__(self, version_directory: str) -> None:
        self._classify = Classifier(Path(version_directory))

    @serve.batch(max_batch_size=64, batch_wait_timeout_s=0.002)
    async def predictions(self, pngs: list[bytes]) -> list[dict[str, Any]]:
        return self._classify([pixels(png) for png in pngs])

    async def __call__(self, request: Request) -> JSONResponse:  # a dict would be sent in chunks
        return JSONResponse(answer([await self.predictions(await request.body())]))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("version_directory", type=Path)
    parser.add_argument("--port", type=int, required=True)
    options = parser.parse_args()
    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False)
    logs = LoggingConfig(enable_access_log=False, log_level="WARNING")
    serve.start(http_options={"host": "127.0.0.1", "port": options.port}, logging_config=logs)
    serve.run(FashionCnn.bind(str(options.version_directory.resolve())), route_prefix="/predict", logging_config=logs)
    signal.sigwait([signal.SIGTERM, signal.SIGINT])
    ray.shutdown()
