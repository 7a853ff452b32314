"""The request log: sampled requests with their answers, written in the background.

opening.py        which of these the settings name
settings.py       where, how much and what
entry.py          one request with its answer
redaction.py      what is left out of bodies and answers
request_log.py    the bounded queue, and the thread that writes it
files.py          files of JSON lines or Parquet, in a folder or an object store
cloud_events.py   CloudEvents over HTTP, as KServe's logger sends them
"""
