"""The revision of the code on model cards."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

from tests.source_tree import ROOT
from training.tracking.revision import code_revision


def test_the_revision_is_the_commit_or_the_distribution_s_version(tmp_path: Path) -> None:
    if (ROOT / ".git").exists():
        assert re.fullmatch(r"[0-9a-f]{10}\+?", code_revision())
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)  # the user's own repository
    package = tmp_path / "site-packages" / "training" / "tracking"
    package.mkdir(parents=True)
    shutil.copy(ROOT / "training" / "tracking" / "revision.py", package)
    program = "from revision import code_revision; print(code_revision())"
    found = subprocess.run([sys.executable, "-c", program], cwd=package, capture_output=True, text=True, check=True)
    assert re.fullmatch(r"vitrine-serving \d+\.\d+\S*", found.stdout.strip())
