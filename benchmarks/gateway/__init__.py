"""Our gateway beside other servers on the same picture task, in one run; see ``__main__.py``."""
