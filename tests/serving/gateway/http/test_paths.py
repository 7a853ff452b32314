"""Caches of parsed paths."""

import tracemalloc

from serving.gateway.http import paths


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
