"""How long an estimate takes at 10 MB, 100 MB and 1 GB, and the exact count beside a plain loop.

Processor seconds, so that other work on the machine does not count, and the least of several
runs, since such work slows them all the same. What is compared takes turns in one process. The
larger files repeat the rows of the smallest.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import resource
import sys
import tempfile
from collections import Counter
from functools import partial
from pathlib import Path
from time import process_time
from typing import TYPE_CHECKING, NamedTuple, TypeVar

sys.path.insert(0, str(Path(__file__).parent.parent))

import results
import workload_files

from planner.workload import access, designs, draws, encodings, passes, readers, tokens
from planner.workload.prompt import Template

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

ENCODING = "o200k_base"
COUNTER = "o200k"

TIMES = (1, 10, 100)
"""How often each file holds the rows."""

RUNS = {1: 7, 10: 3, 100: 1}
"""How often they are counted: the longer it takes, the less other work weighs."""

ESTIMATES = 3
"""How often each file is estimated."""


def timed(work: Callable[[], T]) -> tuple[float, T]:
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


def exact(path: Path) -> tuple[passes.Counted, tokens.Histograms]:
    """The program's pass over every row, to the sizes of the prompts."""
    rows = readers.open_workload(path).rows()
    counted = passes.count(rows, Template("{{ text }}"), [ENCODING])
    counter = tokens.counter(COUNTER, claim="exact")
    return counted, counter.sizes(counted.tallies[ENCODING])


class Beside(NamedTuple):
    """The plain loop and the program: seconds of each, and whether they found the same."""

    plain: float
    ours: float
    same: bool
    tokens: int
    memory: float = 0
    """Of the program's process, in MB, before anything else ran there."""

    @property
    def ratio(self) -> float:
        """How many times as fast the program is."""
        return self.plain / self.ours


def whole_pass(path: Path, runs: int) -> Beside:
    """Exact mode beside the plain loop, in turns."""
    _with_fast()
    passes = [timed(lambda: exact(path))]
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    loops = [timed(lambda: plain_loop(path))]
    for _ in range(runs - 1):
        passes.append(timed(lambda: exact(path)))
        loops.append(timed(lambda: plain_loop(path)))
    counts = Counter(loops[0][1])
    counted, _ = passes[0][1]
    found: Counter[int] = Counter()
    for shape, rows in counted.tallies[ENCODING].shapes.items():
        found[shape.text] += rows
    return Beside(
        plain=min(seconds for seconds, _ in loops),
        ours=min(seconds for seconds, _ in passes),
        same=found == counts,
        tokens=sum(size * rows for size, rows in counts.items()),
        memory=memory,
    )


def tokenising(path: Path, runs: int) -> Beside:
    """The fast counter beside tiktoken, without reading or anything else, in turns."""
    encoding = _with_fast()
    with path.open(encoding="utf-8") as file:
        texts = [json.loads(line)["text"] for line in file]
    slow, fast = [], []
    for _ in range(runs):
        slow.append(timed(lambda: list(map(encoding.count, texts))))
        fast.append(timed(lambda: encoding.count_all(texts)))
    return Beside(
        plain=min(seconds for seconds, _ in slow),
        ours=min(seconds for seconds, _ in fast),
        same=slow[0][1] == fast[0][1],
        tokens=sum(slow[0][1]),
    )


def _with_fast() -> encodings.Encoding:
    """The vocabulary, counted with for long enough that its second counter is there."""
    encoding = encodings.encoding(ENCODING)
    encoding.count_all(["x" * encodings.FAST_AFTER])
    return encoding


# --- the tables -------------------------------------------------------------------------


def main() -> None:
    """Write the files, time both, put the tables into RESULTS.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=10)
    rows = list(
        map(workload_files.line, workload_files.texts(parser.parse_args().megabytes * 10**6))
    )
    estimates, passes = [], []
    first = 0.0
    with tempfile.TemporaryDirectory() as folder:
        for times in TIMES:
            path = Path(folder) / f"{times}.jsonl"
            with path.open("wb") as file:
                file.writelines(b"".join(rows) for _ in range(times))
            if times == 1:
                alone = _fresh(partial(tokenising, path, RUNS[1]))
            passes.append((path.stat().st_size, _fresh(partial(whole_pass, path, RUNS[times]))))
            tried = [_fresh(partial(estimate, path)) for _ in range(ESTIMATES)]
            found = min(tried, key=besides_scanning)
            first = first or besides_scanning(found)
            estimates.append(estimate_line(*passes[-1], found, first))
            print(estimates[-1], passes[-1], flush=True)
            path.unlink()
    titles = ["file", "load", "scan", "draw", "load + draw, of the first file's", "count all"]
    titles += ["all / (load + draw)", "all / estimate", "error", "±", "memory"]
    lines = [beside_line(f"tokenising alone, {_size(passes[0][0])}", alone)]
    lines += [beside_line(f"whole pass, {_size(size)}", each) for size, each in passes]
    beside = results.table(["", "tiktoken loop", "exact mode", "ratio", "equal", "memory"], lines)
    results.write(
        "Estimates of tokens: how long do they take?",
        "python benchmarks/token_speed.py",
        "Processor seconds of fresh processes, the least of several runs. The scan counts rows and "
        "takes the file's digest along; to count all is a loop over the rows with tiktoken.\n\n"
        f"{results.table(titles, estimates)}\n\n"
        "The exact mode with the `fast` extra beside that loop, in turns; equal is as many rows of "
        f"each number of tokens, and for tokenising alone row by row:\n\n{beside}",
    )


def _fresh(work: Callable[[], T]) -> T:
    """What the work finds in a process of its own."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(work)


def besides_scanning(found: dict[str, float]) -> float:
    """Seconds of an estimate that do not follow from the file's size."""
    return found["loading"] + found["drawing"]


def estimate_line(size: int, beside: Beside, found: dict[str, float], first: float) -> list[str]:
    """One line of the table of estimates; `first` are the seconds of the first file's."""
    fixed = besides_scanning(found)
    return [
        _size(size),
        f"{found['loading']:.2f}",
        f"{found['scanning']:.2f}",
        f"{found['drawing']:.2f}",
        f"{fixed / first:.2f}",
        f"{beside.plain:,.1f}",
        f"{beside.plain / fixed:,.1f}",
        f"{beside.plain / (fixed + found['scanning']):,.1f}",
        f"{found['tokens'] / beside.tokens - 1:+.2%}",
        f"{found['within']:.2%}",
        f"{found['memory']:.0f} MB",
    ]


def beside_line(what: str, found: Beside) -> list[str]:
    """One line of the table of exact counts."""
    return [
        what,
        f"{found.plain:.2f}",
        f"{found.ours:.2f}",
        f"{found.ratio:.2f}",
        str(found.same),
        f"{found.memory:.0f} MB" if found.memory else "",
    ]


def _size(size: int) -> str:
    return f"{size / 1e6:,.0f} MB"


if __name__ == "__main__":
    main()
