"""One name, one meaning: each class name is defined once in serving/ and training/."""

import ast
from collections import defaultdict

from tests.source_tree import modules

#: Names that several modules may define, with the reason.
EXCEPTIONS: dict[str, str] = {}


def test_no_class_name_is_defined_twice() -> None:
    found = defaultdict(list)
    for name, tree in modules("serving", "training").items():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                found[node.name].append(name)
    repeated = {name: owners for name, owners in found.items() if len(owners) > 1}
    wrong = [f"{name}: {', '.join(owners)}" for name, owners in repeated.items() if name not in EXCEPTIONS]
    assert not wrong, "\n".join(wrong)
    assert EXCEPTIONS.keys() <= repeated.keys(), "remove exceptions that no class needs"
