"""The revision of the code that trains."""

import importlib.metadata
import subprocess
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[2]


def commit() -> str | None:
    """Return the short hash of the code's commit, with a + if its files have changed; None without Git."""
    if not (_ROOT / ".git").exists():  # an installed package may lie in a repository of the user's
        return None

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(_ROOT), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        changed = git("status", "--porcelain", "--untracked-files=no", "--", "training", "serving")
        return git("rev-parse", "--short=10", "HEAD") + "+" * bool(changed)
    except (OSError, subprocess.CalledProcessError):
        return None


def code_revision() -> str:
    """Return the commit, or without Git the version of the installed distribution."""
    return commit() or f"vitrine-serving {importlib.metadata.version('vitrine-serving')}"
