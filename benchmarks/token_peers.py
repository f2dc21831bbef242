"""The same rows counted by planner, by a plain loop and by other people's counters, in one run.

The others (litellm's `token_counter`, tokencost's `count_string_tokens`) are installed into
environments of their own, since they bring a hundred megabytes of what planner does without, and
litellm redirects every tokenizer of its process. Each peer counts each row as one user message
of a model whose encoding is documented (o200k_base), where an exact answer exists; then a text
of each of four kinds as Claude 5.x would read it, where none can be had without the vendor.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import venv
from pathlib import Path
from random import Random
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

import results
import token_speed
import workload_files

from planner.workload.prompt import Message, Request
from planner.workload.tokens import Tally, counter, stretched

KINDS = {"English": 0, "Python": 1, "German": 4, "Russian": 5, "Hindi": 7}
"""Kinds of text that a foreign vocabulary miscounts in different directions, by their place
among those of `workload_files`."""

CHARACTERS = 20_000

CLAUDE = "claude-v4.7"
"""The counter of the catalog for current Claude models."""

Answers = dict[str, dict[str, Any]]
"""By peer: seconds, the count of each row, and of each kind of text for Claude."""

PEER = """
import json, sys, time
from pathlib import Path
name, rows, texts = sys.argv[1], Path(sys.argv[2]), json.loads(Path(sys.argv[3]).read_text())
if name == "litellm":
    from litellm import token_counter
    count = lambda model, text: token_counter(model=model, text=text)
else:
    from tokencost import count_string_tokens
    count = lambda model, text: count_string_tokens(text, model)
def claude(text):
    try:
        return count("claude-opus-4-7", text)
    except Exception as error:
        return type(error).__name__
count("gpt-4o", "load")
start = time.process_time()
counts = [count("gpt-4o", json.loads(line)["text"]) for line in rows.open(encoding="utf-8")]
print(json.dumps({
    "seconds": time.process_time() - start, "counts": counts,
    "claude": {kind: claude(text) for kind, text in texts.items()},
}))
"""


def installed(folder: Path, name: str) -> Path:
    """The Python of an environment that holds this one package."""
    home = folder / name
    if not home.is_dir():
        venv.create(home, with_pip=True)
        subprocess.run([home / "bin" / "pip", "install", "-q", name], check=True)
    return home / "bin" / "python"


def asked(python: Path, name: str, rows: Path, texts: Path, vocabularies: Path) -> dict[str, Any]:
    """What a peer answers; its vocabularies come from litellm's wheel, not from the network."""
    answer = subprocess.run(
        [python, "-c", PEER, name, rows, texts],
        capture_output=True,
        check=True,
        text=True,
        env={
            **os.environ,
            "TIKTOKEN_CACHE_DIR": str(vocabularies),
            "LITELLM_LOCAL_MODEL_COST_MAP": "1",
        },
    )
    found: dict[str, Any] = json.loads(answer.stdout.splitlines()[-1])
    return found


def samples() -> dict[str, str]:
    """A text of each kind."""
    random = Random(0)
    return {
        kind: workload_files.KINDS[place][1](random, CHARACTERS) for kind, place in KINDS.items()
    }


def banded(text: str) -> tuple[int, int, int]:
    """(low, value, high) of a text as planner counts it for Claude, without the frame."""
    tally = Tally(token_speed.ENCODING)
    counted = tally.add(Request(messages=(Message(role="user", content=text),))).text
    band = counter(CLAUDE).band(tally.mix())
    low, value, high = (stretched(counted, ratio) for ratio in (band.low, band.mid, band.high))
    return low, value, high


RUNS = 3
"""Of the loop and of planner, in turns; the least counts. A peer is slow enough for one."""


def speeds(rows: Path, found: Answers) -> str:
    """Seconds of each, over the plain loop's, and how many rows each counts as that does."""
    beside = token_speed.whole_pass(rows, RUNS)
    truth = token_speed.plain_loop(rows)
    every = f"{len(truth):,} of {len(truth):,}"
    lines = [
        ["tiktoken, a loop", f"{beside.plain:.2f}", "1.0", every, "0"],
        [
            "planner --exact",
            f"{beside.ours:.2f}",
            f"{beside.ratio:.1f}",
            "the same sizes" if beside.same else "other sizes",
            "0" if beside.same else "some",
        ],
    ]
    for name, answer in found.items():
        seconds, counts = answer["seconds"], answer["counts"]
        same = sum(one == other for one, other in zip(counts, truth, strict=True))
        lines.append(
            [
                name,
                f"{seconds:.2f}",
                f"{beside.plain / seconds:.1f}",
                f"{same:,} of {len(truth):,}",
                f"{sum(counts) - sum(truth):+,}",
            ]
        )
    titles = ["counter", "seconds", "times as fast", "rows equal", "tokens too many"]
    return results.table(titles, lines)


def estimates(found: Answers) -> str:
    """What each says of a text for Claude, beside planner's interval."""
    lines = []
    for kind, text in samples().items():
        low, value, high = banded(text)
        others = [_against(answer["claude"][kind], low, high) for answer in found.values()]
        lines.append([kind, f"{value:,} ({low:,}-{high:,})", *others])
    return results.table(["text", "planner", *found], lines)


def _against(said: Any, low: int, high: int) -> str:
    if not isinstance(said, int):
        return f"refuses ({said})"
    if low <= said <= high:
        return f"{said:,}"
    edge = low if said < low else high
    return f"{said:,} ({said / edge - 1:+.0%} beyond)"


def main() -> None:
    """Install, count, compare, put the tables into RESULTS.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=10)
    parser.add_argument("--environments", type=Path, help="kept there, and used again")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows, texts = folder / "rows.jsonl", folder / "texts.json"
        rows.write_bytes(
            b"".join(map(workload_files.line, workload_files.texts(arguments.megabytes * 10**6)))
        )
        texts.write_text(json.dumps(samples()), encoding="utf-8")
        environments = arguments.environments or folder
        peers = {each: installed(environments, each) for each in ("litellm", "tokencost")}
        (vocabularies,) = environments.glob(
            "litellm/lib/*/site-packages/litellm/litellm_core_utils/tokenizers"
        )
        found = {
            each: asked(python, each, rows, texts, vocabularies) for each, python in peers.items()
        }
        tables = speeds(rows, found), estimates(found)
    print(*tables, sep="\n\n")
    results.write(
        "Tokens: beside other counters",
        "python benchmarks/token_peers.py",
        f"{arguments.megabytes} MB of mixed rows, o200k_base, processor seconds after loading:\n\n"
        f"{tables[0]}\n\nA text of {CHARACTERS:,} characters, as a current Claude model reads it "
        f"(nobody outside can count it exactly; planner says so with an interval):\n\n{tables[1]}",
    )


if __name__ == "__main__":
    main()
