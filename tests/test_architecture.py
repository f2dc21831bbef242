"""The rules of the house, each with its reason; the contracts themselves are in pyproject.toml."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from planner import strict_yaml

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parent.parent
PLANNER = ROOT / "planner"
PRICING = ROOT / "pricing"

LONGEST_MODULE = 600
"""In lines of code."""

LONGEST_FUNCTION = 50
"""In lines as they stand."""


class Source(NamedTuple):
    """One module of ours: its path as the repository knows it, and its tree."""

    path: str
    text: str
    tree: ast.Module


def sources(*under: str) -> list[Source]:
    """Every module below the given places (files or folders), the whole package by default."""
    places = [ROOT / place for place in under or ("planner",)]
    files = sorted(
        file
        for place in places
        for file in (place.rglob("*.py") if place.is_dir() else [place])
        if file.exists()
    )
    found = []
    for file in files:
        text = file.read_text(encoding="utf-8")
        found.append(Source(str(file.relative_to(ROOT)), text, ast.parse(text)))
    return found


# ---------------------------------------------------------------- who may import whom


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    """Check the import contracts of the checkout or of a copy of it."""
    command = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    return subprocess.run(
        [sys.executable, "-c", command, "--no-cache"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder), "PYTHONIOENCODING": "utf-8"},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )


def test_import_contracts_hold() -> None:
    answer = lint_imports(ROOT)
    assert answer.returncode == 0, answer.stdout + answer.stderr


@pytest.mark.parametrize(
    ("module", "line", "contract"),
    [
        ("errors", "import planner.money", "Every module stands above what it imports"),
        ("invented", "", "Every module stands above what it imports"),
        ("catalog/invented", "", "catalog: audit above support"),
        ("catalog/schema", "import planner.catalog.audit", "catalog: audit above support"),
        ("workload/readers", "import planner.workload.profile", "workload: from rows"),
        ("decision/requirements", "import planner.decision.matrix", "decision: from"),
        ("money", "import time", "money and decision are pure"),
        ("decision/realtime", "import pathlib", "money and decision are pure"),
        ("pipeline", "import textual", "Only the TUI knows Textual"),
        ("workload/tokens", "import anthropic", "Only handoff.providers know a vendor's SDK"),
        ("tui/widgets/invented", "import openai", "Only handoff.providers know a vendor's SDK"),
    ],
)
def test_import_contracts_can_break(tmp_path: Path, module: str, line: str, contract: str) -> None:
    """A contract that names nothing holds for ever: each is broken once in a copy."""
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    shutil.copytree(PLANNER, tmp_path / "planner", ignore=lambda _, names: ignored(names))
    changed = tmp_path / "planner" / f"{module}.py"
    for folder in changed.relative_to(tmp_path).parents[:-1]:
        (tmp_path / folder).mkdir(exist_ok=True)
        (tmp_path / folder / "__init__.py").touch()
    with changed.open("a", encoding="utf-8") as file:
        file.write(f"\n{line}\n")
    if line.startswith("import planner."):
        target = tmp_path / f"{line.removeprefix('import ').replace('.', '/')}.py"
        target.touch()
    answer = lint_imports(tmp_path)
    broken = [each for each in answer.stdout.splitlines() if " BROKEN" in each]
    assert answer.returncode == 1, answer.stdout + answer.stderr
    assert any(each.startswith(contract) for each in broken), answer.stdout


def ignored(names: list[str]) -> set[str]:
    """What a copy of the package does not need to be checked."""
    return {name for name in names if name == "__pycache__" or name.endswith((".bin", ".pyc"))}


def test_every_package_has_its_layers() -> None:
    """A new package gets its inner order on its first day; the TUI's widgets are no ladder."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        contracts = tomllib.load(file)["tool"]["importlinter"]["contracts"]
    ordered = {
        container.removeprefix("*.").removeprefix("planner.")
        for contract in contracts
        if contract["type"] == "layers" and contract["exhaustive"]
        for container in contract["containers"]
    }
    packages = {
        folder.name
        for folder in PLANNER.iterdir()
        if len([file for file in folder.glob("*.py") if file.name != "__init__.py"]) > 1
    }
    assert packages - {"tui"} <= ordered
    assert "planner" in ordered


# ---------------------------------------------------------------- quick answers stay quick

HEAVY = {"textual", "tiktoken", "anthropic", "openai", "jinja2"}

LOADED = """
import runpy, sys
sys.argv = ["planner", *sys.argv[1:]]
try:
    runpy.run_module("planner", run_name="__main__", alter_sys=False)
except SystemExit as done:
    code = done.code
print("\\n".join(sorted({name.partition(".")[0] for name in sys.modules})), file=sys.stderr)
sys.exit(code)
"""


def loaded_by(*arguments: str) -> tuple[subprocess.CompletedProcess[str], set[str]]:
    """Run `planner ARGUMENTS` in a process of its own; the top-level packages it ends with."""
    answer = subprocess.run(
        [sys.executable, "-c", LOADED, *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONIOENCODING": "utf-8"},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    return answer, set(answer.stderr.split())


@pytest.mark.parametrize(
    "arguments", [("--help",), ("models",), ("check", "claude-haiku-5-5")], ids=lambda each: each[0]
)
def test_no_heavy_library_for_a_light_question(arguments: tuple[str, ...]) -> None:
    """Each costs a part of a second at every start; a face, a tokenizer and SDKs load in need."""
    answer, loaded = loaded_by(*arguments)
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout
    assert {"planner", "argparse"} <= loaded
    assert loaded & HEAVY == set()


def test_a_heavy_library_would_be_seen() -> None:
    """An estimate of a file does count tokens, so the test above looks in the right place."""
    answer, loaded = loaded_by("estimate", "sample", "--model", "gpt-6.2-sol")
    assert answer.returncode == 0, answer.stderr
    assert loaded & HEAVY == {"jinja2", "tiktoken"}


# ---------------------------------------------------------------- facts live in pricing/

VENDORS = ("planner/handoff/providers/", "planner/handoff/rehearsal/")
"""The only places that may name a vendor: adapters and the rehearsal speak vendors' own words."""

WORDS = {
    ("planner/handoff/followup.py", "batch"): "the format of a file of ready-made requests",
    ("planner/handoff/harvest.py", "batch"): "the leg of a job whose rows went as batches",
    ("planner/handoff/rescue.py", "batch"): "the phase of a rescue while its batches run",
    ("planner/lookups.py", "batch"): "what the lane that takes batches is usually called",
    ("planner/handoff/records.py", "batch"): "the leg of a job whose rows went as batches",
    ("planner/report/bill.py", "together"): "what stands before a sum",
    ("planner/tui/support.py", "batch"): "the title of a column",
    ("planner/words.py", "batch"): "a noun that is counted",
    ("planner/workload/prompt.py", "batch"): "the format of a file of ready-made requests",
    ("planner/workload/readers.py", "batch"): "the format of a file of ready-made requests",
}
"""Words of the program that are ids of a lane as well: where, which, and what is meant there."""


def ids_in_pricing() -> set[str]:
    """Every provider, model, alias and lane id that the shipped facts know."""
    found: set[str] = set()
    for file in sorted(PRICING.glob("*.yaml")):
        data = strict_yaml.load(file.read_text(encoding="utf-8"), file.name).data
        assert isinstance(data, dict)
        found |= {data["provider"], *data["models"], *data.get("lanes", {})}
        for model in data["models"].values():
            found |= {*model.get("aliases", ())}
    return found


def literals(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Every string in the code with its line; equality is asked of it, so prose is safe."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value


def test_no_vendor_model_or_lane_is_named_in_the_code() -> None:
    """An if-chain by vendor begins with one comparison; facts are added in pricing/ alone."""
    ids = ids_in_pricing()
    named = {
        (source.path, word): f"{source.path}:{line} {word!r}"
        for source in sources()
        if not source.path.startswith(VENDORS)
        for line, word in literals(source.tree)
        if word in ids
    }
    assert [text for key, text in named.items() if key not in WORDS] == []
    assert [key for key in WORDS if key not in named] == [], "an exception nobody needs"


def test_pricing_names_what_the_test_above_looks_for() -> None:
    ids = ids_in_pricing()
    assert {"anthropic", "openai", "standard", "batch", "claude-haiku-5-5", "gpt-6.2-sol"} <= ids


# ---------------------------------------------------------------- exact money

MONEY_PATH = (
    "planner/money.py",
    "planner/strict_yaml.py",
    "planner/catalog",
    "planner/decision/cost.py",
    "planner/decision/forecast.py",
    "planner/decision/budget.py",
    "planner/decision/baseline.py",
    "planner/budget_file.py",
)


def floats(tree: ast.Module) -> Iterator[int]:
    """Lines with a float literal or a call of `float`; an annotation is neither."""
    for node in ast.walk(tree):
        literal = isinstance(node, ast.Constant) and isinstance(node.value, float)
        call = isinstance(node, ast.Call) and getattr(node.func, "id", None) == "float"
        if literal or call:
            assert isinstance(node, ast.expr)
            yield node.lineno


def test_no_float_in_the_money_path() -> None:
    """0.1 + 0.2 is not 0.3, and a bill is compared to the cent with the vendor's."""
    checked = sources(*MONEY_PATH)
    assert [f"{each.path}:{line}" for each in checked for line in floats(each.tree)] == []
    for place in MONEY_PATH:
        assert any(each.path.startswith(place) for each in checked), place


def test_floats_are_seen() -> None:
    assert list(floats(ast.parse("a = 1\nb = 0.5\nc: float = 1\nd = float('1')\n"))) == [2, 4]


# ---------------------------------------------------------------- sizes


def functions(tree: ast.Module) -> Iterator[tuple[str, int, int]]:
    """Name, line and length of every function."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            yield node.name, node.lineno, node.end_lineno - node.lineno + 1


def test_functions_fit_on_a_screen() -> None:
    """What does not fit on one screen is read in pieces, and then it can be written in pieces."""
    long = [
        f"{source.path}:{line} {name}: {length} lines"
        for source in sources()
        for name, line, length in functions(source.tree)
        if length > LONGEST_FUNCTION
    ]
    assert long == []


def code_lines(source: Source) -> int:
    """Lines without blank ones, comments and docstrings: explaining more must not cost."""
    prose: set[int] = set()
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            assert node.end_lineno is not None
            prose.update(range(node.lineno, node.end_lineno + 1))
    lines = enumerate(source.text.splitlines(), start=1)
    return sum(
        1
        for number, line in lines
        if number not in prose and line.strip() and not line.lstrip().startswith("#")
    )


def test_modules_hold_one_topic() -> None:
    """Past this length a module has grown a second topic, which wants a name of its own."""
    long = [
        f"{source.path}: {lines} lines of code"
        for source in sources()
        if (lines := code_lines(source)) > LONGEST_MODULE
    ]
    assert long == []
