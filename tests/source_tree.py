"""Syntax trees and imports of the project's modules."""

import ast
import functools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent


@functools.cache
def modules(*folders: str) -> dict[str, ast.Module]:
    """Parse all modules below these folders. Returns the syntax trees by module name."""
    found = {}
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = ast.parse(path.read_bytes(), str(path))
    return found


@dataclass(frozen=True)
class Import:
    """An imported module, or a name in one. ``lazy``: inside a function."""

    target: str
    lazy: bool
    typing_only: bool


def imports(tree: ast.AST, lazy: bool = False, typing_only: bool = False) -> Iterator[Import]:
    """Yield all imports of a module. ``from a import b`` gives ``a.b``."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            yield from (Import(alias.name, lazy, typing_only) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0 and node.module, "imports are absolute"
            yield from (Import(f"{node.module}.{alias.name}", lazy, typing_only) for alias in node.names)
        elif isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING"):
            yield from imports(node, lazy, typing_only=True)
        else:
            in_function = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            yield from imports(node, lazy or in_function, typing_only)


def below(target: str, packages: tuple[str, ...]) -> bool:
    """Whether a module is one of these packages or in one."""
    return any(target == package or target.startswith(f"{package}.") for package in packages)
