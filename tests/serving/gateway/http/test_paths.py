"""Caches of parsed paths."""

import subprocess
import sys
import tracemalloc

from serving.gateway.http import keys_file, paths
from tests.programs import REPOSITORY


def test_path_caches_are_small() -> None:
    """A path may be as long as a request's head, and needs no key."""
    tracemalloc.start()
    try:
        for number in range(600):
            model = f"/v1/models/{number:06}{'m' * 30_000}"
            paths.parse_target(f"{model}:predict")
            paths.error_form(f"{model}:predict")
            paths.normalize(model)
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 25_000_000


def test_a_key_can_have_the_scope_of_every_request() -> None:
    native = (paths.parse_target(f"/v1/models/m:{verb}") for verb in paths.VERBS)
    others = (paths.parse_target(path) for path in ("/v1/embeddings", "/v2/models/m/infer"))
    assert {target.scope for target in (*native, *others) if target} == {*keys_file.SCOPES} - {keys_file.ADMIN}


def test_the_command_line_does_not_import_the_gateway() -> None:
    """It would add a third of a second to every command."""
    program = "import sys, serving.cli.main; print(*sorted(name for name in sys.modules if 'serving.gateway' in name))"
    done = subprocess.run([sys.executable, "-c", program], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["serving.gateway", "serving.gateway.http", "serving.gateway.http.keys_file"]
