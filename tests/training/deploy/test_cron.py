"""Cron schedules: what Kubernetes accepts is accepted, and what it refuses is an error that says what is expected."""

import re

import pytest

from training.core.errors import JobError
from training.deploy.cron import check_schedule, check_time_zone


@pytest.mark.parametrize(
    "schedule",
    [
        *("0 3 * * *", "*/15 * * * *", "0 0-6/2 1,15 jan-MAR mon,WED-fri", "5/20 ? 1 * ?", "59 23 31 12 0"),
        *("@daily", "@hourly", "@Yearly"),
    ],
)
def test_schedules_of_kubernetes(schedule: str) -> None:
    check_schedule(schedule)


@pytest.mark.parametrize(
    ("schedule", "error"),
    [
        ("daily", "cron's five fields are expected"),
        ("0 3 * * * *", "cron's five fields are expected"),
        ("", "cron's five fields are expected"),
        ("@dayly", "one of @yearly"),
        ("60 3 * * *", "its minute is 60; 0–59"),
        ("0 24 * * *", "its hour is 24"),
        ("0 3 0 * *", "its day of the month is 0"),
        ("0 3 * 13 *", "its month is 13; 1–12, jan–dec"),
        ("0 3 * * 7", "its day of the week is 7; 0–6, sun–sat"),  # Sunday in other crons
        ("0 3 * * mo", "its day of the week is mo"),
        ("0 6-3 * * *", "its hour is 6-3"),
        ("*/0 3 * * *", "its minute is */0"),
        ("1,,2 3 * * *", "its minute is 1,,2"),
        ("1- 3 * * *", "its minute is 1-"),
        ("-1 3 * * *", "its minute is -1"),
        ("٣ 3 * * *", "its minute is ٣"),
        ("CRON_TZ=UTC 0 3 * * *", "--time-zone"),
    ],
)
def test_invalid_schedules(schedule: str, error: str) -> None:
    with pytest.raises(JobError, match=f"--schedule is .*{re.escape(error)}"):
        check_schedule(schedule)


def test_time_zones() -> None:
    check_time_zone("Europe/Berlin")
    for zone in ("Berlin", "Local", "", "../etc"):
        with pytest.raises(JobError, match="such as Europe/Berlin"):
            check_time_zone(zone)
