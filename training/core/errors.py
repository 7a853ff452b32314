"""Errors of training jobs.

Exception
 └─ JobError           the job cannot run as requested
     ├─ NotComparable  the gate would refuse any result of the run
     └─ WorkerLost     another worker of the group has stopped
"""


class JobError(Exception):
    """The job cannot run as requested. The message says why and how to fix it."""


class NotComparable(JobError):
    """The result cannot be compared with the live version, so the gate would refuse it."""

    EXIT_CODE = 2  # as after the gate's refusal


class WorkerLost(JobError):
    """Another worker of the group has stopped. Restart this one to resume."""

    EXIT_CODE = 75  # EX_TEMPFAIL of sysexits.h
