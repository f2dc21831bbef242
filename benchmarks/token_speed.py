"""How long an estimate takes at 10 MB, 100 MB and 1 GB, and the exact count beside a plain loop.

Processor seconds, so that other work on the machine does not count. The larger files repeat
the rows of the smallest, whose exact count is therefore known; what counting all of a larger
file takes is that of the smallest times their ratio.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import resource
import sys
import tempfile
from pathlib import Path
from time import process_time
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).parent.parent))

import results
import workload_files

from planner.workload import access, designs, draws, encodings, profile, readers
from planner.workload.prompt import Template

if TYPE_CHECKING:
    from collections.abc import Callable

ENCODING = "o200k_base"


def timed(work: Callable[[], object]) -> tuple[float, object]:
    """(processor seconds, what came out)."""
    start = process_time()
    found = work()
    return process_time() - start, found


def estimate(path: Path) -> dict[str, float]:
    """Seconds of each part of an estimate, its figures, and the process's own memory."""
    loading, _ = timed(lambda: encodings.encoding(ENCODING).count("a"))
    workload = readers.open_workload(path)
    scanning, index = timed(lambda: access.scan(workload))
    assert isinstance(index, access.Index)
    drawer = draws.Drawer(Template("{{ text }}"), [ENCODING])
    drawing, drawn = timed(lambda: designs.by_offset(index, drawer))
    assert isinstance(drawn, draws.Drawn)
    total = drawn.total(ENCODING, lambda shape: shape.text)
    return {
        "loading": loading,
        "scanning": scanning,
        "drawing": drawing,
        "tokens": total.value,
        "within": total.relative,
        "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def plain_loop(path: Path) -> list[int]:
    """What a script would do: every row, one by one."""
    count = encodings.encoding(ENCODING).count
    with path.open(encoding="utf-8") as file:
        return [count(json.loads(line)["text"]) for line in file]


def exact(path: Path) -> profile.Counted:
    """The program's pass over every row."""
    rows = readers.open_workload(path).rows()
    return profile.count(rows, Template("{{ text }}"), [ENCODING])


def speeds(path: Path) -> list[list[str]]:
    """Exact mode beside the plain loop: tokenising alone, and the whole pass."""
    plain, counts = timed(lambda: plain_loop(path))
    assert isinstance(counts, list)
    encodings.encoding(ENCODING).count_all(["x" * encodings.FAST_AFTER])
    passing, counted = timed(lambda: exact(path))
    assert isinstance(counted, profile.Counted)
    texts = [json.loads(line)["text"] for line in path.open(encoding="utf-8")]
    one, slow = timed(lambda: list(map(encodings.encoding(ENCODING).count, texts)))
    other, fast = timed(lambda: encodings.encoding(ENCODING).count_all(texts))
    tally = counted.tallies[ENCODING]
    same = sum(shape.text * n for shape, n in tally.shapes.items()) == sum(counts)
    return [
        ["tokenising alone", f"{one:.2f}", f"{other:.2f}", f"{one / other:.1f}", str(slow == fast)],
        ["whole pass", f"{plain:.2f}", f"{passing:.2f}", f"{plain / passing:.1f}", str(same)],
    ]


def main() -> None:
    """Write the files, time both, put the tables into RESULTS.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=10)
    arguments = parser.parse_args()
    spawned = multiprocessing.get_context("spawn")
    lines = []
    with tempfile.TemporaryDirectory() as name:
        small = Path(name) / "1.jsonl"
        block = [
            workload_files.line(text) for text in workload_files.texts(arguments.megabytes * 10**6)
        ]
        small.write_bytes(b"".join(block))
        with spawned.Pool(1) as pool:
            counting, counts = pool.apply(timed, (ListOf(small),))
            fast = pool.apply(speeds, (small,))
        for times in (1, 10, 100):
            path = Path(name) / f"{times}.jsonl"
            with path.open("wb") as file:
                file.writelines(
                    block * times if times == 1 else (b"".join(block) for _ in range(times))
                )
            with spawned.Pool(1) as pool:
                found = pool.apply(estimate, (path,))
            truth = sum(counts) * times
            lines.append(line_of(path.stat().st_size, found, truth, counting * times))
            print(*lines[-1], sep=" | ", flush=True)
            if times > 1:
                path.unlink()
    titles = ["file", "load", "scan", "draw", "count all", "all / draw", "error", "±", "memory"]
    beside = results.table(["seconds", "tiktoken loop", "exact mode", "ratio", "equal"], fast)
    print(beside)
    results.write(
        "Estimates of tokens: how long do they take?",
        "python benchmarks/token_speed.py",
        "Processor seconds of a fresh process; the scan counts rows and takes the file's digest "
        f"along.\n\n{results.table(titles, lines)}\n\nThe exact mode with the `fast` extra, on "
        f"{arguments.megabytes} MB:\n\n{beside}",
    )


class ListOf:
    """The plain loop over a file, as a job for another process."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __call__(self) -> list[int]:
        """Tokens of each row."""
        encodings.encoding(ENCODING)
        return plain_loop(self.path)


def line_of(size: int, found: dict[str, float], truth: int, counting: float) -> list[str]:
    """One line of the table."""
    return [
        f"{size / 1e6:,.0f} MB",
        f"{found['loading']:.2f}",
        f"{found['scanning']:.2f}",
        f"{found['drawing']:.2f}",
        f"{counting:,.1f}",
        f"{counting / found['drawing']:,.0f}",
        f"{found['tokens'] / truth - 1:+.2%}",
        f"{found['within']:.2%}",
        f"{found['memory']:.0f} MB",
    ]


if __name__ == "__main__":
    main()
