"""The house itself: imports run downward, files stay small, names say something, everything public is documented."""

import ast
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src" / "velatura"
FLOORS = (
    *("base", "atomic io imaging", "physics", "spectra reduce cluster nn", "scene train"),
    *("tasks", "report", "chain", "cli", "__init__"),
)
LEVEL = {name: level for level, names in enumerate(FLOORS) for name in names.split()}
MODULES = sorted(SOURCE.rglob("*.py"))
LONGEST_FILE = 400
LONGEST_FUNCTION = 40
FORBIDDEN = {"utils", "util", "helpers", "misc", "common", "tools"}


def floor_of(path: Path) -> str:
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def short(path: Path) -> str:
    return str(path.relative_to(SOURCE))


def imported(tree: ast.AST):
    """(line, "velatura.there.module") of each import of our own."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: relative import"
            names = [node.module or ""]
            if node.module == "velatura":
                names = [f"velatura.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        yield from ((node.lineno, name) for name in names if name.split(".")[0] == "velatura")


def functions(tree: ast.Module):
    """Every function with its class, if any: (function, class or None)."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            yield node, None
        elif isinstance(node, ast.ClassDef):
            yield from ((inner, node) for inner in node.body if isinstance(inner, ast.FunctionDef))


@pytest.mark.parametrize("path", MODULES, ids=short)
def test_imports_run_downward(path: Path) -> None:
    here = floor_of(path)
    upward = []
    for line, name in imported(ast.parse(path.read_text())):
        there = [*name.split("."), ""][1]
        if there in LEVEL and there != here and LEVEL[there] >= LEVEL[here]:
            upward.append(f"line {line} imports {name}")
    assert not upward, f"{short(path)} ({here}): {upward}"


def test_every_folder_has_a_floor() -> None:
    folders = {path.name for path in SOURCE.iterdir() if path.is_dir() and any(path.glob("*.py"))}
    assert folders <= set(LEVEL)


@pytest.mark.parametrize("path", MODULES, ids=short)
def test_files_and_functions_stay_small(path: Path) -> None:
    text = path.read_text()
    assert len(text.splitlines()) <= LONGEST_FILE
    for function, _ in functions(ast.parse(text)):
        first = function.body[0]
        documented = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
        start = first.end_lineno if documented else function.lineno
        assert function.end_lineno - start <= LONGEST_FUNCTION, f"{function.name} is too long"


def test_names_say_something() -> None:
    folders = [ROOT / name for name in ("src", "tests", "benchmarks", "examples")]
    paths = [path for folder in folders for path in folder.rglob("*") if path.suffix == ".py" or path.is_dir()]
    assert not [str(path) for path in paths if path.stem in FORBIDDEN]


@pytest.mark.parametrize("path", MODULES, ids=short)
def test_public_names_are_documented(path: Path) -> None:
    tree = ast.parse(path.read_text())
    assert ast.get_docstring(tree), "the module needs a docstring"
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef)]
    public = [node for node in classes if not node.name.startswith("_")]
    public += [f for f, owner in functions(tree) if not f.name.startswith("_") and (owner is None or owner in public)]
    assert not [node.name for node in public if not ast.get_docstring(node)]


@pytest.mark.parametrize("path", MODULES, ids=short)
def test_signatures(path: Path) -> None:
    """At most three positional parameters; randomness is keyword-only and never has a default key."""
    for function, _ in functions(ast.parse(path.read_text())):
        if function.name.startswith("_"):
            continue
        positional = [a.arg for a in (*function.args.posonlyargs, *function.args.args) if a.arg not in {"self", "cls"}]
        assert len(positional) <= 3, f"{function.name}{tuple(positional)}"
        assert not {"key", "rng"} & set(positional), f"{function.name}: key and rng are keyword-only"
        for argument, default in zip(function.args.kwonlyargs, function.args.kw_defaults, strict=True):
            assert argument.arg not in {"key", "rng"} or default is None, f"{function.name}: no default {argument.arg}"


@pytest.mark.parametrize("path", [p for p in MODULES if floor_of(p) != "cli"], ids=short)
def test_nobody_prints_below_the_command_line(path: Path) -> None:
    calls = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
    assert not [call.lineno for call in calls if isinstance(call.func, ast.Name) and call.func.id == "print"]


def test_the_page_of_commands_is_that_of_the_command_line() -> None:
    """docs/commands.md is written by tools/write_commands_page.py; run it after changing a verb."""
    from velatura.cli.main import VERBS, build_app

    page = (ROOT / "docs" / "commands.md").read_text()
    assert page == build_app().generate_docs(recursive=True).rstrip() + "\n"
    assert all(f"## velatura {verb}" in page for verb in VERBS)


def test_pins_are_the_same_for_uv_and_pip() -> None:
    pinned = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["uv"]["constraint-dependencies"]
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    assert pinned == [line for line in lines if not line.startswith("#")]


def test_no_addresses_of_package_hosts_are_kept() -> None:
    for name in ("pyproject.toml", "constraints.txt"):
        assert "://" not in (ROOT / name).read_text(), f"{name} must hold names and versions only"
