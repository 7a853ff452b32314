"""Small folders, meaningful names, and no circular imports."""

from collections import Counter
from graphlib import CycleError, TopologicalSorter

from tests.source_tree import ROOT, imports, modules

MOST_MODULES = 14
VAGUE = {"utils", "util", "helpers", "helper", "misc", "common"}


def test_a_folder_has_few_modules() -> None:
    paths = (path for folder in ("serving", "training") for path in (ROOT / folder).rglob("*.py"))
    counts = Counter(str(path.parent.relative_to(ROOT)) for path in paths if not path.stem.startswith("__"))
    del counts["training/jobs"]  # one file for each system of the courses
    assert {folder: count for folder, count in counts.items() if count > MOST_MODULES} == {}


def test_no_module_has_a_vague_name() -> None:
    names = modules("serving", "training", "tests", "benchmarks")
    assert [name for name in names if VAGUE & {*name.split(".")}] == []


def test_modules_have_no_circular_imports() -> None:
    """Only imports at a module's top count."""
    trees = modules("serving", "training")
    graph = {}
    for name, tree in trees.items():
        targets = (one.target for one in imports(tree) if not one.lazy and not one.typing_only)
        named = {target if target in trees else target.rpartition(".")[0] for target in targets}
        graph[name] = (named & trees.keys()) - {name}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        raise AssertionError(" → ".join(error.args[1])) from None
