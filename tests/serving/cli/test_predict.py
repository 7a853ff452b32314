"""``vitrine predict`` reads files before it calls the gateway; ``vitrine forecast`` prints a table."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.programs import REPOSITORY, free_port
from tests.serving.gateway import programs, served_models
from tests.serving.gateway.conftest import picture


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    root = tmp_path_factory.mktemp("models")
    served_models.trend(root, 1)
    served_models.configure(root, {"trend": {"stable": 1}})
    with programs.embedded_gateway(root) as gateway:
        programs.wait_until_ready(gateway, "trend")
        yield gateway.url


def forecast(url: str, *arguments: str, text: str = "") -> str:
    command = [sys.executable, "-m", "serving.cli.main", "forecast", "trend", f"--url={url}", *arguments]
    environment = {**os.environ, "COLUMNS": "60"}
    done = subprocess.run(command, input=text, capture_output=True, text=True, cwd=REPOSITORY, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_history_and_a_picture_unlike_the_training_data_have_a_warning(tmp_path: Path) -> None:
    for write in (served_models.shade, served_models.trend):
        write(tmp_path, 1, assessed=True)
    served_models.configure(tmp_path, {name: {"stable": 1} for name in ("shade", "trend")})
    (tmp_path / "dark.png").write_bytes(picture(5))
    with programs.embedded_gateway(tmp_path) as gateway:
        programs.wait_until_ready(gateway, "shade", "trend")
        assert "This history is unlike the training data" in forecast(gateway.url, "--history=1,2,3,4", "--horizon=2")
        assert "unlike" not in forecast(gateway.url, "--history=1,2,3,200", "--horizon=2")
        command = [sys.executable, "-m", "serving.cli.main", "predict", str(tmp_path / "dark.png"), "--model=shade"]
        done = subprocess.run([*command, f"--url={gateway.url}"], capture_output=True, text=True, cwd=REPOSITORY)
        assert "This picture is unlike the training data: do not rely on the answer." in done.stdout


def test_a_forecast_has_times_quantiles_and_the_naive_forecast(url: str) -> None:
    """The table has all figures, although it is wider than the terminal."""
    options = ("--start=2026-01-28", "--horizon=2", "--quantile=0.95", "--naive")
    rows = [line.split() for line in forecast(url, "--history=1,2,3,4", *options).splitlines()]
    assert ["step", "(day)", "time", "mean,", "USD", "lower", "upper", "0.95", "naive"] in [
        [cell for cell in row if cell not in "┃│"] for row in rows
    ]
    cells = [[cell for cell in row if cell != "│"] for row in rows]
    assert ["1", "2026-02-01", "5.00000", "4.00000", "6.00000", "6.00000", "4.00000"] in cells
    assert not any("2026" in cell for cell in forecast(url, text="1\n2\n3\n4\n").split())


def test_a_forecast_of_a_csv_file_has_its_times(url: str, tmp_path: Path) -> None:
    file = tmp_path / "days.csv"
    file.write_text("Date,Value\n" + "".join(f"2024-02-{day:02},{day}\n" for day in range(1, 30)))
    assert "2024-03-01 │ 30.0000" in forecast(url, f"--csv={file}", "--horizon=1")
    file.write_text(
        "Date,Value\n" + "".join(f"2024-02-{day:02},{day}\n" for day in (1, 2, 5, 6, 7, 8, 9, 12, 13, 14, 15, 16))
    )
    assert "2024-02-19 │ 17.0000" in forecast(url, f"--csv={file}", "--horizon=1")  # a Monday


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "serving.cli.main", "predict", f"--url=http://127.0.0.1:{free_port()}"]
    for path, problem in ((tmp_path / "no.png", "No such file or directory"), (tmp_path, "Is a directory")):
        done = subprocess.run([*command, path], capture_output=True, text=True, cwd=REPOSITORY)
        assert done.returncode == 1
        assert done.stderr == f"{path} cannot be read ({problem}); a picture file is expected\n"
