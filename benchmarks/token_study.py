"""Does the stated 95 % interval of an estimate cover the truth, in any order of the rows?

One file of mixed text is written in four orders, as lines and as a table of many row groups, and
three files that are hard for samplers. Each is estimated with many seeds, by the program's own
draws and profiles, and compared with the exact count of every row.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from random import Random
from statistics import fmean
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).parent.parent))

import results
import workload_files

from planner.workload import (
    access,
    designs,
    draws,
    outputs,
    passes,
    profile,
    readers,
    sources,
)
from planner.workload.encodings import encoding
from planner.workload.prompt import Template
from planner.workload.tokens import counter

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from planner.workload.sizes import Sizes

EDGE = 200_000
GROUP_ROWS = 500
ENCODING, COUNTER = "o200k_base", "o200k"


@dataclass(frozen=True)
class Case:
    """A file, its template, and what is true of it."""

    name: str
    path: Path
    template: str
    truth: int
    tiered: bool = False


def priced(sizes: Sizes, *, tiered: bool) -> int:
    """Tokens, those of rows above the edge twice where a tier doubles their price."""
    return sizes.total + (sizes.above(EDGE, inclusive=False).total if tiered else 0)


_indexes: dict[str, access.Index] = {}


def estimated(task: tuple[Case, int]) -> tuple[float, float, bool, int]:
    """(relative error, stated half-width, covered, draws) of one estimate."""
    case, seed = task
    edges = (EDGE,) if case.tiered else ()
    drawer = draws.Drawer(Template(case.template), [ENCODING], edges=edges)
    drawn = drawn_from(case, drawer, seed)
    counted = passes.sampled(drawn)
    made = profile.counted_profile(
        counted,
        model="studied",
        counter=counter(COUNTER, claim="exact"),
        output=outputs.given_output(1, None, None),
        edges=edges,
    )
    low, value, high = (
        priced(each, tiered=case.tiered) for each in (made.sizes_low, made.sizes, made.sizes_high)
    )
    return (
        abs(value / case.truth - 1),
        (high - low) / 2 / value,
        low <= case.truth <= high,
        len(drawn.draws),
    )


def drawn_from(case: Case, drawer: draws.Drawer, seed: int) -> draws.Drawn:
    """The draws of one seed."""
    workload = readers.open_workload(case.path)
    if sources.is_table(case.path):
        return designs.by_group(workload, drawer, seed=seed)
    if case.name not in _indexes:
        _indexes[case.name] = access.scan(workload)
    return designs.by_offset(_indexes[case.name], drawer, seed=seed)


def frame() -> int:
    """Tokens that a chat adds to the text of one message."""
    framing = counter(COUNTER, claim="exact").framing
    return framing.per_request + framing.per_message


def written(path: Path, texts: Sequence[str]) -> Path:
    """The rows of the texts as a file."""
    path.write_bytes(b"".join(map(workload_files.line, texts)))
    return path


def orders(folder: Path, size: int, put: Callable[[Path, Sequence[str]], Path]) -> list[Case]:
    """The same rows in four orders."""
    texts = list(workload_files.texts(size))
    tokens = encoding(ENCODING).count_all(texts)
    truth = sum(tokens) + frame() * len(texts)
    bytes_ = [len(workload_files.line(text)) for text in texts]
    keys: dict[str, Callable[[int], float]] = {
        "shuffled": lambda row: row,
        "by kind of text": lambda row: round(tokens[row] / bytes_[row], 1),
        "by length": lambda row: bytes_[row],
        "by tokens a byte": lambda row: tokens[row] / bytes_[row],
    }
    return [
        Case(
            name,
            put(folder / str(n), [texts[row] for row in sorted(range(len(texts)), key=key)]),
            "{{ text }}",
            truth,
        )
        for n, (name, key) in enumerate(keys.items())
    ]


def as_table(path: Path, texts: Sequence[str]) -> Path:
    """The rows of the texts as a table."""
    return workload_files.table(path, texts, group_rows=GROUP_ROWS)


def hard(folder: Path, size: int) -> list[Case]:
    """Three rows with 69 % of the bytes; a tier at 200k tokens; a long template on short rows."""
    random = Random(1)
    count, count_all = encoding(ENCODING).count, encoding(ENCODING).count_all
    few = list(workload_files.texts(size * 31 // 100, seed=2))
    huge = ["\n".join(workload_files.texts(size * 23 // 100, seed=seed)) for seed in (3, 4, 5)]
    random.shuffle(three := few + huge)
    long = list(workload_files.texts(size * 6 // 10, seed=6))
    over = [
        "\n".join(workload_files.texts(random.randrange(300_000, 2_000_000), seed=100 + row))
        for row in range(size * 4 // 10 // 1_150_000)
    ]
    random.shuffle(tier := long + over)
    sizes = [tokens + frame() for tokens in count_all(tier)]
    short = [
        workload_files.text(random, random.randrange(20, 300)) for _ in range(size // 4 // 200)
    ]
    rules = " ".join(random.choices(workload_files.WORDS["de"].split(), k=1_400))
    template = f"{rules}\nText: {{{{ text }}}}\nAnswer in one word."
    return [
        Case(
            "3 rows with 69 % of the bytes",
            written(folder / "three.jsonl", three),
            "{{ text }}",
            sum(count_all(three)) + frame() * len(three),
        ),
        Case(
            "price doubling above 200k tokens",
            written(folder / "tier.jsonl", tier),
            "{{ text }}",
            sum(each * (2 if each > EDGE else 1) for each in sizes),
            tiered=True,
        ),
        Case(
            f"template of {count(rules):,} tokens on short rows",
            written(folder / "short.jsonl", short),
            template,
            sum(count_all([template.replace("{{ text }}", text) for text in short]))
            + frame() * len(short),
        ),
    ]


def row_of(case: Case, seeds: int, pool: multiprocessing.pool.Pool) -> list[str]:
    """One line of the table."""
    seen = pool.map(estimated, [(case, seed) for seed in range(seeds)], chunksize=5)
    errors = sorted(error for error, *_ in seen)
    return [
        case.name,
        str(seeds),
        f"{sum(covered for _, _, covered, _ in seen) / seeds:.1%}",
        f"{fmean(half for _, half, _, _ in seen):.2%}",
        f"{max(half for _, half, _, _ in seen):.2%}",
        f"{errors[int(0.95 * seeds)]:.2%}",
        f"{fmean(count for *_, count in seen):,.0f}",
    ]


TITLES = ["file", "seeds", "covered", "half-width", "widest", "95 % of errors within", "draws"]
COVERED = (
    "Covered is the share of seeds whose interval, asked for ±1 % at 95 %, holds the exact count."
)


def main() -> None:
    """Write the files, estimate them, put the tables into RESULTS.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=100)
    parser.add_argument("--seeds", type=int, default=300)
    parser.add_argument("--hard-seeds", type=int, default=60)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--only", choices=("orders", "tables", "hard"))
    arguments = parser.parse_args()
    size, only = arguments.megabytes, arguments.only
    if only in (None, "orders"):
        study(
            "Estimates of tokens: does the 95 % interval cover the truth?",
            f"One file of {size} MB in four orders. {COVERED}",
            lambda folder: orders(folder, size * 10**6, written),
            arguments.seeds,
            arguments.workers,
        )
    if only in (None, "tables"):
        study(
            "Estimates of tokens in a table, from some of its row groups",
            f"The same rows as Parquet, in groups of {GROUP_ROWS}. {COVERED}",
            lambda folder: orders(folder, size * 10**6, as_table),
            arguments.hard_seeds,
            arguments.workers,
        )
    if only in (None, "hard"):
        study(
            "Estimates of tokens in files that are hard for samplers",
            f"Made of {size} MB each. {COVERED} Where a price doubles, rows above {EDGE:,} tokens "
            "count twice, in the truth and in the interval.",
            lambda folder: hard(folder, size * 10**6),
            arguments.hard_seeds,
            arguments.workers,
        )


def study(
    heading: str, said: str, made: Callable[[Path], list[Case]], seeds: int, workers: int
) -> None:
    """One table of RESULTS.md."""
    with tempfile.TemporaryDirectory() as name, multiprocessing.Pool(workers) as pool:
        rows = []
        for case in made(Path(name)):
            rows.append(row_of(case, seeds, pool))
            print(*rows[-1], sep=" | ", flush=True)
    body = f"{said}\n\n{results.table(TITLES, rows)}"
    results.write(heading, "python benchmarks/token_study.py", body)


if __name__ == "__main__":
    main()
