"""Compare the gateway with other servers on the same picture task, see ``__main__.py``."""
