"""The arrows of docs/architecture.md, read off the sources: who may import whom, and what is pure."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

#: From the outside in: a layer imports itself and what stands to its right.
LAYERS = ("homecoming", "consumer", "metrics", "state")

#: What a pure module may import of ours is pure too; of others, these.
PURE_LIBRARY = {
    "bisect",
    "collections",
    "csv",
    "dataclasses",
    "datetime",
    "difflib",
    "enum",
    "fnmatch",
    "functools",
    "hashlib",
    "heapq",
    "itertools",
    "json",
    "math",
    "tomllib",
    "operator",
    "re",
    "statistics",
    "typing",
}

#: The clock, by the names under which it is read.
CLOCK = {"now", "utcnow", "today", "time_ns", "monotonic", "perf_counter"}

#: Names that shadow the package (or the standard library) where a file is run by its path.
SHADOWING = {"metrics.py", "state.py", "http.py", "calendar.py"}


def sources() -> list[Path]:
    folders = [ROOT / layer for layer in LAYERS[1:]]
    return sorted([*ROOT.glob("homecoming.py"), *(p for folder in folders for p in folder.rglob("*.py"))])


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def imports(path: Path) -> Iterator[str]:
    """Dotted names that the file imports, inside functions too; relative ones begin with a dot."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield "." * node.level + (node.module or "")


def pure_modules() -> list[str]:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    return re.findall(r"^\| (\S+\.py) \|.*\*\(pure\)\*", text, flags=re.MULTILINE)


@pytest.mark.parametrize("path", sources(), ids=name_of)
def test_imports_point_inward(path: Path) -> None:
    layer = name_of(path).split(".")[0]
    outward = LAYERS[: LAYERS.index(layer)]
    assert not [name for name in imports(path) if name.startswith(".") or name.split(".")[0] in outward]


@pytest.mark.parametrize("name", pure_modules())
def test_pure_modules_do_no_io_and_read_no_clock(name: str) -> None:
    path, pure = ROOT / name, {Path(p).with_suffix("").as_posix().replace("/", ".") for p in pure_modules()}
    foreign = [i for i in imports(path) if i not in pure and i.split(".")[0] not in PURE_LIBRARY]
    called = {
        node.func.attr if isinstance(node.func, ast.Attribute) else node.func.id
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute | ast.Name)
    }
    assert not foreign
    assert not called & (CLOCK | {"open", "print", "input"})


def test_there_are_pure_modules() -> None:
    assert {"state/fold.py", "state/weeks.py", "state/rules.py"} <= set(pure_modules())


@pytest.mark.parametrize("path", sources(), ids=name_of)
def test_no_module_shadows_a_package(path: Path) -> None:
    assert path.name not in SHADOWING
