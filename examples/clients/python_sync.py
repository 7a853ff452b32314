"""Post a picture and ask for a forecast.

    python examples/clients/python_sync.py examples/ankle_boot.png

The client retries 429, 503 and lost connections after the time in Retry-After, within its time-out.
"""

import os
import sys

from serving.client import Client, VitrineError

URL = os.environ.get("VITRINE_URL", "http://127.0.0.1:8000")
KEY = os.environ.get("VITRINE_KEY")

if len(sys.argv) != 2:
    sys.exit("usage: python python_sync.py PICTURE")
try:
    with Client(URL, KEY, timeout=10) as client:
        best = client.predict("fashion_cnn", sys.argv[1], top=1).predictions[0]
        print(f"{best.label} {best.probability:.3f}")
        forecast = client.forecast("sine_rnn", [0.31, 0.58], horizon=3).forecasts[0]
        print(*(f"{value:.3f}" for value in forecast.mean))
except VitrineError as error:
    sys.exit(f"{error.status or 'no answer'}, {error.code}: {error.message}")
