"""How long the estimate of a large Parquet file takes: from some row groups, and read as a stream.

Processor seconds, each in a process of its own. The stream is what reading a table from its start
costs, every column of every row; both know the tokens within 1 %.
"""

from __future__ import annotations

import argparse
import multiprocessing
import re
import sys
import tempfile
from itertools import chain, repeat
from pathlib import Path
from time import process_time

sys.path.insert(0, str(Path(__file__).parent.parent))

import results
import workload_files

from planner.workload import designs, draws, readers
from planner.workload.encodings import encoding
from planner.workload.prompt import Template

ENCODING = "o200k_base"
TIMES = 10


def estimate(path: Path, *, stream: bool) -> tuple[float, draws.Drawn, float]:
    """(processor seconds, what was drawn, megabytes of memory)."""
    encoding(ENCODING).count("loaded")
    workload = readers.open_workload(path)
    drawer = draws.Drawer(Template("{{ text }}"), [ENCODING])
    start = process_time()
    if stream:
        drawn = designs.from_start(workload.rows(), drawer)
    else:
        drawn = designs.by_group(workload, drawer)
    seconds = process_time() - start
    return seconds, drawn, memory()


def memory() -> float:
    """The most megabytes that this process ever held; its own, not those it was started with."""
    (line,) = re.findall(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(line) / 1024


def main() -> None:
    """Write the files, time both ways, put the table into RESULTS.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=1000)
    parser.add_argument("--group-rows", type=int, default=1000)
    arguments = parser.parse_args()
    block = list(workload_files.texts(arguments.megabytes * 10**6 // TIMES))
    lines = []
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "rows.parquet"
        texts = chain.from_iterable(repeat(block, TIMES))
        workload_files.table(path, texts, group_rows=arguments.group_rows)
        for stream in (False, True):
            lines.append(line_of(path, stream=stream))
            print(*lines[-1], sep=" | ", flush=True)
    titles = ["read", "seconds", "tokens", "±", "draws", "memory"]
    results.write(
        "Estimates of tokens in a large table: how long do they take?",
        "python benchmarks/table_speed.py",
        f"Parquet of {arguments.megabytes:,} MB of text, {arguments.group_rows:,} rows a group. "
        "Processor seconds of a fresh process, the encoding loaded. A stream is every column of "
        "every row.\n\n"
        f"{results.table(titles, lines)}",
    )


def line_of(path: Path, *, stream: bool) -> list[str]:
    """One line of the table, measured in a process of its own."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        seconds, drawn, held = pool.apply(estimate, (path,), {"stream": stream})
    total = drawn.total(ENCODING, lambda shape: shape.text)
    return [
        "as a stream" if stream else "by row group",
        f"{seconds:.1f}",
        f"{total.value / 1e6:,.1f} M",
        f"{total.relative:.2%}",
        f"{len(drawn.draws):,}",
        f"{held:.0f} MB",
    ]


if __name__ == "__main__":
    main()
