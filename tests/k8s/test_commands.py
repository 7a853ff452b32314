"""The kubectl commands of pages and READMEs name files, objects and flags that exist."""

import itertools
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
import yaml

from tests.k8s.test_manifests import K8S, OVERLAYS, containers, kustomize
from tests.programs import REPOSITORY

PAGES = sorted({*(REPOSITORY / "docs").rglob("*.md"), *K8S.rglob("*.md"), *(REPOSITORY / "charts").glob("*/*.md")})
#: Kinds of objects as the commands name them.
_KINDS = {
    "deploy": "Deployment",
    "deployment": "Deployment",
    "service": "Service",
    "pod": "Pod",
    "pvc": "PersistentVolumeClaim",
}

pytestmark = pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is needed")


def commands(program: str) -> Iterator[tuple[Path, list[str]]]:
    """Yield the commands of a program on all pages, in words, without what follows a pipe or a comment."""
    for page in PAGES:
        text = page.read_text(encoding="utf-8").replace("\\\n", " ")
        for line in re.findall(rf"^(?: *\$ |    )(?:.*[|&] )?({program} .*)$", text, re.MULTILINE):
            yield page, shlex.split(re.split(r" [|>&<]|  #|;", line)[0])


@cache
def objects() -> frozenset[tuple[str, str]]:
    """All objects of the overlays and of examples/kubernetes, by kind and name."""
    examples = (REPOSITORY / "examples/kubernetes").glob("*.yaml")
    found = [one for overlay in OVERLAYS for one in kustomize(K8S / "overlays" / overlay)]
    found += [one for path in examples for one in yaml.safe_load_all(path.read_text())]
    return frozenset((one["kind"], one["metadata"].get("name", "")) for one in found)


def test_kubectl_commands() -> None:
    checked = 0
    for page, words in commands("kubectl"):
        where = f"{page.relative_to(REPOSITORY)}: {shlex.join(words)}"
        if "--" in words:
            words = words[: words.index("--")]
        for flag, value in itertools.pairwise(words):
            if flag == "-k" and not value.startswith("my-"):
                assert (REPOSITORY / value / "kustomization.yaml").is_file(), where
            if flag == "-f" and "logs" not in words and "/" in value and ":" not in value:
                assert (REPOSITORY / value).is_file(), where
        for kind, name in re.findall(r"\b(deploy|deployment|service|pod|pvc)[/ ]([a-z][a-z-]*)\b", shlex.join(words)):
            assert "-n" not in words or (_KINDS[kind], name) in objects(), where
        # With --help kubectl checks the flags, and does nothing.
        assert subprocess.run([*words, "--help"], capture_output=True, timeout=60).returncode == 0, where
        checked += 1
    assert checked > 30


def test_the_laptop_needs_exactly_the_images_that_the_pages_load() -> None:
    used = {one["image"] for _, one in containers(kustomize(K8S / "overlays/laptop"))}
    pages = {K8S / "overlays/laptop/README.md", REPOSITORY / "docs/tutorials/kubernetes.md"}
    loaded = {page: set(words[3:]) for page, words in commands("kind") if page in pages}
    assert loaded == dict.fromkeys(pages, used)
    built = {page: " ".join(words) for page, words in commands("make") if page in pages}
    assert built == dict.fromkeys(pages, "make images IMAGES=server")
    assert re.search(r"^FROM .* AS server$", (REPOSITORY / "Dockerfile").read_text(), re.MULTILINE)
