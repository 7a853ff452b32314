"""Several gateway processes on one port.

supervisor.py          starts, restarts and stops the workers; keeps the counters of dead ones
worker_process.py      one worker as the supervisor sees it
worker.py              the program of a worker
supervisor_link.py     a worker's connection to the supervisor
control_connection.py  calls between the two, over an inherited socket
listening.py           sockets that share the port
limits.py              how many workers, and each one's share of the limits
seen_ids.py            ids of feedback that has been counted
metric_snapshot.py     metrics as plain values, and their sum over workers
merged_readiness.py    readiness of all workers
"""
