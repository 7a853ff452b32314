"""Errors of training jobs.

Exception
 └─ JobError         the job cannot run as requested
     └─ WorkerLost   another worker of the group has stopped
"""


class JobError(Exception):
    """The job cannot run as requested. The message says why and how to fix it."""


class WorkerLost(JobError):
    """Another worker of the group has stopped. Restart this one to resume."""

    EXIT_CODE = 75  # EX_TEMPFAIL of sysexits.h
