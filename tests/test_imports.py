"""Imports between packages go one way: from training and the servers to the shared packages."""

import pytest

from tests.source_tree import below, imports, modules

SHARED = (
    "serving.__version__",
    "serving.artifacts",
    "serving.counters",
    "serving.extras",
    "serving.preprocessing",
    "serving.inputs",
    "serving.tfs_api",
)
ONNX = "serving.onnx_runtime"

#: Packages of the project that each package may import, besides itself. A module's most specific entry applies.
ALLOWED: dict[str, tuple[str, ...]] = {
    "training": (*SHARED, ONNX),
    "training.cli": (*SHARED, "serving.cli", "training"),
    "training.__main__": ("serving.cli", "training"),
    "serving.artifacts": SHARED,
    "serving.sync": ("serving.artifacts",),
    "serving.counters": (),
    "serving.extras": (),
    "serving.onnx_runtime": (),
    "serving.preprocessing": ("serving.artifacts",),
    "serving.inputs": ("serving.artifacts", "serving.preprocessing"),
    "serving.tfs_api": (),
    "serving.http_server": (),
    "serving.gateway": (*SHARED, "serving.http_server"),
    "serving.gateway.backends.embedded": (*SHARED, "serving.gateway", "serving.model_server", ONNX),
    "serving.server": ("serving",),
    "serving.model_server": (*SHARED, "serving.http_server", ONNX),
    "serving.scoring": (*SHARED, ONNX, "serving.model_server"),  # its engines
    "serving.client": SHARED,
    "serving.cli": ("serving", "training"),
}
#: Packages of the project that may only be imported inside functions, because they are slow or optional.
LAZY = {"serving.cli": ("training", "serving.scoring")}
#: Packages that must not be imported, not even inside functions.
FORBIDDEN = {
    "serving.gateway": ("tensorflow", "tensorflow_serving", "keras", "training"),
    "serving.client": ("tensorflow", "tensorflow_serving", "keras", "serving.gateway", "serving.model_server"),
    "serving.tfs_api": ("tensorflow", "tensorflow_serving"),
}


def rule_for(module: str, rules: dict[str, tuple[str, ...]]) -> tuple[str, ...] | None:
    matching = [package for package in rules if below(module, (package,))]
    return rules[max(matching, key=len)] if matching else None


MODULES = modules("serving", "training")


@pytest.mark.parametrize("package", ALLOWED)
def test_a_package_imports_only_allowed_packages(package: str) -> None:
    wrong = [
        f"{module} imports {target}"
        for module, tree in MODULES.items()
        if below(module, (package,)) and rule_for(module, ALLOWED) == ALLOWED[package]
        for target in (one.target for one in imports(tree))
        if below(target, ("serving", "training")) and not below(target, (package, *ALLOWED[package]))
    ]
    assert not wrong, "\n".join(wrong)


def test_every_module_has_a_rule() -> None:
    assert [module for module in MODULES if module != "serving" and rule_for(module, ALLOWED) is None] == []


@pytest.mark.parametrize("package", LAZY)
def test_slow_packages_are_imported_inside_functions(package: str) -> None:
    wrong = [
        f"{module} imports {one.target} at its top"
        for module, tree in MODULES.items()
        if below(module, (package,))
        for one in imports(tree)
        if not one.lazy and not one.typing_only and below(one.target, LAZY[package])
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("package", FORBIDDEN)
def test_a_package_imports_no_forbidden_package(package: str) -> None:
    wrong = [
        f"{module} imports {one.target}"
        for module, tree in MODULES.items()
        if below(module, (package,))
        for one in imports(tree)
        if below(one.target, FORBIDDEN[package])
    ]
    assert not wrong, "\n".join(wrong)
