"""Large jobs from rows to merged answers: each row right, each shard paid once, little memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.handoff import scale

ROOT = Path(__file__).resolve().parents[2]


def ran(provider: str, rows: int, folder: Path) -> dict[str, object]:
    command = [sys.executable, "-m", "tests.handoff.scale", provider, str(rows), str(folder)]
    quiet = {"NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1", "PLANNER_DATA": str(folder / "home")}
    done = subprocess.run(
        command, cwd=ROOT, env=os.environ | quiet, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    found: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.mark.parametrize("provider", ["anthropic", "openai"])
def test_a_small_job_goes_the_same_way(
    provider: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    found = scale.handed(scale.planned(provider, 50, tmp_path), tmp_path)
    assert (found["over"], found["right"], found["paid"]) == ("done", 50, [1])


@pytest.mark.long
@pytest.mark.parametrize(
    ("provider", "rows", "shards"), [("anthropic", 100_000, 1), ("openai", 200_000, 4)]
)
def test_a_large_job_in_300_megabytes(
    provider: str, rows: int, shards: int, tmp_path: Path
) -> None:
    """Client and vendor together, in one process."""
    found = ran(provider, rows, tmp_path)
    print(found)  # noqa: T201 -- the figures are of interest when all is well, too
    assert (found["over"], found["right"], found["rows"]) == ("done", rows, rows)
    assert found["paid"] == [1] * shards
    assert found["most_creating"] == 1
    assert isinstance(found["peak_mb"], float)
    assert found["peak_mb"] < 300
