"""A look-up loads little: counted in modules, because a stopwatch measures the machine."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

LOADED = """
import runpy, sys
sys.argv = ["planner", *sys.argv[1:]]
try:
    runpy.run_module("planner", run_name="__main__", alter_sys=False)
except SystemExit as done:
    assert not done.code, done.code
print("\\n".join(sys.modules), file=sys.stderr)
"""

OURS = {
    "planner",
    "planner.__main__",
    "planner.catalog",
    "planner.catalog.facts",
    "planner.catalog.files",
    "planner.catalog.freshness",
    "planner.catalog.prices",
    "planner.catalog.support",
    "planner.cli",
    "planner.cli.catalog",
    "planner.cli.flags",
    "planner.errors",
    "planner.lookups",
    "planner.money",
    "planner.notation",
    "planner.report",
    "planner.report.changes",
    "planner.report.evidence",
    "planner.report.facts",
    "planner.report.layout",
    "planner.words",
}
MOST = 47
"""Modules beyond those that a bare interpreter with argparse, dataclasses and json has; a check
has one more than other look-ups, since it warns of what was read long ago."""


def modules(code: str, *arguments: str, cache: Path) -> set[str]:
    """The modules that a process of its own has loaded when it ends."""
    answer = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=ROOT,
        env={**os.environ, "XDG_CACHE_HOME": str(cache), "PYTHONIOENCODING": "utf-8"},
        capture_output=True,
        encoding="utf-8",
        check=True,
    )
    return set(answer.stderr.split())


@pytest.mark.parametrize(
    "question",
    [("models",), ("check", "claude-haiku-5-5"), ("prices", "show", "gpt-6.2-sol")],
    ids=lambda each: each[0],
)
def test_a_look_up_with_a_warm_cache_loads_little(
    question: tuple[str, ...], tmp_path: Path
) -> None:
    """No reader of files, no pydantic, nothing of a job: what costs a multiple of the answer."""
    cold = modules(LOADED, *question, cache=tmp_path)
    assert {"yaml", "pydantic", "planner.strict_yaml"} <= cold, "the test looks in the right place"
    warm = modules(LOADED, *question, cache=tmp_path)
    bare = modules(
        "import argparse, dataclasses, decimal, hashlib, json, pathlib, runpy, sys\n"
        "print('\\n'.join(sys.modules), file=sys.stderr)",
        cache=tmp_path,
    )
    assert {name for name in warm if name.partition(".")[0] == "planner"} <= OURS
    assert not {name.partition(".")[0] for name in warm} & {"yaml", "pydantic", "pydantic_core"}
    assert len(warm - bare) <= MOST, sorted(warm - bare)
