"""Fingerprint of a result: code, imports and data files.

Comments, docstrings, the places of modules and the machinery around a job (gate, export, checkpoints) do not count: a
figure added to a docstring after a run, or a module that moves, does not make the run out of date.
"""

import ast
import hashlib
import importlib.metadata
import os
from pathlib import Path

ROOT = Path(__file__).parents[2]
_OWN = ("training.", "serving.")
_MACHINERY = (
    "training.export.",
    "training.evaluation.plots.",
    "training.core.array.",
    "training.core.errors.",
    "training.core.examples.",
    "training.core.gate.",
    "training.core.job.",
    "training.core.recipe.",
    "training.experiments.study.",
    "serving.artifacts.model_card.",
    "serving.tfs_api.messages.",
)


def code(module: str) -> str:
    """Return a hash of the module, of what it imports, and of the versions of TensorFlow and Keras.

    It is the first 16 hexadecimal digits of a SHA-256.
    """
    total = hashlib.sha256()
    for tree in sorted(ast.dump(_Behaviour().visit(tree)) for tree in _closure(module).values()):
        total.update(tree.encode())
    for library in ("tensorflow", "keras"):
        total.update(importlib.metadata.version(library).encode())
    return total.hexdigest()[:16]


def files(module: str) -> dict[str, int]:
    """Return the sizes in bytes of files and folders in VITRINE_DATA that the code names."""
    folder = os.environ.get("VITRINE_DATA")
    if not folder:
        return {}
    constants = {
        node.value
        for tree in _closure(module).values()
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and 0 < len(node.value) < 100
    }
    return {name: _size(Path(folder, name)) for name in sorted(constants) if _exists_in(Path(folder), name)}


def _closure(module: str) -> dict[str, ast.Module]:
    trees: dict[str, ast.Module] = {}
    waiting = [module]
    while waiting:
        name = waiting.pop()
        file = _file(name)
        if name in trees or file is None or f"{name}.".startswith(_MACHINERY):
            continue
        trees[name] = ast.parse(file.read_bytes())
        for node in ast.walk(trees[name]):
            if isinstance(node, ast.ImportFrom) and node.module:
                waiting += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
            elif isinstance(node, ast.Import):
                waiting += [alias.name for alias in node.names]
    return trees


def _file(module: str) -> Path | None:
    path = ROOT.joinpath(*module.split(".")).with_suffix(".py")
    return path if module.startswith(_OWN) and path.is_file() else None


class _Behaviour(ast.NodeTransformer):
    """Removes docstrings, and imports of the project's own modules."""

    def generic_visit(self, node: ast.AST) -> ast.AST:
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None:
            node.body = node.body[1:]
        return super().generic_visit(node)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.ImportFrom | None:
        return None if f"{node.module}.".startswith(_OWN) else node


def _exists_in(folder: Path, name: str) -> bool:
    parts = Path(name).parts
    return not name.startswith("/") and ".." not in parts and name not in (".", "") and (folder / name).exists()


def _size(path: Path) -> int:
    found = [path] if path.is_file() else sorted(path.rglob("*"))
    return sum(file.stat().st_size for file in found if file.is_file())
