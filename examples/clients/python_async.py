"""Post pictures at the same time, and ask for a forecast.

    python examples/clients/python_async.py examples/ankle_boot.png examples/cross.jpg

The client retries 429, 503 and lost connections after the time in Retry-After, within its time-out.
"""

import asyncio
import os
import sys

from serving.client import AsyncClient, VitrineError

URL = os.environ.get("VITRINE_URL", "http://127.0.0.1:8000")
KEY = os.environ.get("VITRINE_KEY")


async def main(pictures: list[str]) -> None:
    """Classify the pictures at once, then forecast a sine."""
    async with AsyncClient(URL, KEY, timeout=10) as client:
        answers = await asyncio.gather(*(client.predict("fashion_cnn", picture, top=1) for picture in pictures))
        for answer in answers:
            print(f"{answer.predictions[0].label} {answer.predictions[0].probability:.3f}")
        forecasts = await client.forecast("sine_rnn", [0.31, 0.58], horizon=3)
        print(*(f"{value:.3f}" for value in forecasts.forecasts[0].mean))


if len(sys.argv) < 2:
    sys.exit("usage: python python_async.py PICTURE...")
try:
    asyncio.run(main(sys.argv[1:]))
except VitrineError as error:
    sys.exit(f"{error.status or 'no answer'}, {error.code}: {error.message}")
