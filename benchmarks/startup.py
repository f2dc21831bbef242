"""CPU of whole processes: what a look-up costs against importing pydantic and yaml.

Ratios, because seconds belong to one machine. Each command runs `--runs` times, taking turns so
that a busy moment hits all of them; the least CPU (user and system) of each counts. With and
without cached bytecode of the program, because read-only installations have none.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile

import results

PYTHON = sys.executable
YARDSTICK = "import pydantic, yaml"
COMMANDS = {
    "python alone": ("-c", "pass"),
    "import pydantic, yaml": ("-c", YARDSTICK),
    "the same and a model": ("-c", "import pydantic, yaml; pydantic.create_model('M', a=(int, 1))"),
    "planner --version": ("-m", "planner", "--version"),
    "planner models": ("-m", "planner", "models"),
    "planner check": ("-m", "planner", "check", "claude-haiku-5-5"),
    "planner prices show": ("-m", "planner", "prices", "show", "claude-haiku-5-5"),
}


def cpu(arguments: tuple[str, ...], settings: dict[str, str]) -> float:
    """Seconds of CPU of one process and its children."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([PYTHON, *arguments], env=settings, capture_output=True, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode != 0:
        raise SystemExit(done.stderr.decode())
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def least(settings: dict[str, str], runs: int) -> dict[str, float]:
    """The least CPU of each command; the first turn warms the caches and does not count."""
    seen: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(runs + 1):
        for name, arguments in COMMANDS.items():
            seen[name].append(cpu(arguments, settings))
    return {name: min(times[1:]) for name, times in seen.items()}


def main() -> None:
    """Print a table of ratios, and keep it with --write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=11)
    parser.add_argument("--write", action="store_true", help="into RESULTS.md")
    arguments = parser.parse_args()
    settings = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    with tempfile.TemporaryDirectory() as folder:
        settings |= {"XDG_CACHE_HOME": folder}
        cached = least(settings | {"PYTHONPYCACHEPREFIX": f"{folder}/bytecode"}, arguments.runs)
        plain = least(settings | {"PYTHONDONTWRITEBYTECODE": "1"}, arguments.runs)
    rows = [
        [name.strip(), *(f"{times[name] / times[YARDSTICK]:.2f}" for times in (cached, plain))]
        for name in COMMANDS
    ]
    body = (
        f"CPU of a whole process over that of `python -c '{YARDSTICK}'`, least of several runs.\n\n"
    )
    body += results.table(["process", "bytecode cached", "not cached"], rows)
    print(body)
    if arguments.write:
        results.write("Starting", "python benchmarks/startup.py --write", body)


if __name__ == "__main__":
    main()
