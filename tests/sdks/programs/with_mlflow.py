"""MLflow's own client and JSON writer against ``/invocations``. SCORING is host:port of a gateway with ``price``."""

import os

import numpy as np
import pandas as pd
import requests
from checks import refused, run
from mlflow.pyfunc.scoring_server.client import ScoringServerClient

HOST, PORT = os.environ["SCORING"].split(":")
CLIENT = ScoringServerClient(HOST, PORT)
ROWS = pd.DataFrame({"age": [6.3, 6.9], "rooms": [2, 3]})
ARRAY = np.array([[2, 6.3], [3, 6.9]])
PRICES = [65.0, 72.0]  # rooms + 10 · age


def are_prices(predictions: object) -> bool:
    return np.allclose(np.asarray(predictions, float).ravel(), PRICES)


def ping_and_version() -> None:
    CLIENT.wait_server_ready()
    assert CLIENT.get_version()


def a_data_frame() -> None:
    """As dataframe_split."""
    assert are_prices(CLIENT.invoke(ROWS).get_predictions())


def an_array() -> None:
    """As inputs."""
    assert are_prices(CLIENT.invoke(ARRAY).get_predictions())


def csv() -> None:
    answer = requests.post(
        f"http://{HOST}:{PORT}/invocations", data=ROWS.to_csv(index=False), headers={"Content-Type": "text/csv"}
    )
    assert are_prices(answer.json()["predictions"])


def wrong_columns() -> None:
    with refused(Exception, "400", "missing: age"):
        CLIENT.invoke(ROWS[["rooms"]])


def unknown_parameters() -> None:
    with refused(Exception, "400", "temperature"):
        CLIENT.invoke(ROWS, params={"temperature": 1})


run(ping_and_version, a_data_frame, an_array, csv, wrong_columns, unknown_parameters)
