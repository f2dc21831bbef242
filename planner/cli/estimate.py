"""`planner estimate` and `planner WORKLOAD`: from flags to a job, and its answer printed.

A job file holds the same keys as the flags: it is read into the same flags, and what the
command line says wins.
"""

from __future__ import annotations

import argparse
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, Self

from planner import sample
from planner.cli import measuring
from planner.cli.flags import (
    NO,
    YES,
    Arguments,
    Clock,
    Parser,
    as_of,
    catalog_flags,
    catalog_of,
    output_flags,
    write,
)
from planner.errors import InputError
from planner.words import counted, percent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from datetime import date, datetime

    from planner.catalog import Catalog
    from planner.decision.turnaround import FinishedJob
    from planner.handoff.learned import Known
    from planner.job import Job
    from planner.pipeline import Measured

JOB_SUFFIXES = (".yaml", ".yml")


class Screen(Protocol):
    """The TUI, handed in by the entry point: one face does not import the other."""

    def __call__(
        self,
        job: Job | None,
        *,
        clock: Clock,
        on: date | None,
        taught: Callable[[], tuple[tuple[FinishedJob, ...], Known | None]],
        same: tuple[str, ...],
        pricing: tuple[Path, ...],
        place: str,
        budget: Path | None,
    ) -> int:
        """Open on a job, or on the welcome; the exit code.

        `taught` is asked with each count, `same` are flags that hold for every answer whatever
        is asked on the screen, `pricing` the folders of own prices that were named.
        """


def _flags(made: Parser) -> None:
    job_flags(made)
    measuring.flags(made)
    made.add_argument("--explain", metavar="OPTION", help="the arithmetic of one option")
    made.add_argument("--map", action="store_true", help="deadline x volume: what wins where")
    output_flags(made, ("table", "json", "csv", "md"))


def run(arguments: Arguments, clock: Clock) -> int:
    """Estimate and print; exit 1 where nothing meets the demand."""
    from planner import pipeline
    from planner.report import answers, explain, text

    now = clock()
    arguments = with_job_file(arguments)
    job = job_of(arguments, now)
    catalog = catalog_of(arguments)
    on = as_of(arguments, now)
    measured = measured_of(arguments, catalog, job, now)
    history = history_of(arguments)
    answer = pipeline.estimate(catalog, measured, job, now=now, on=on, history=history)
    if arguments.get("map"):
        write(text.lane_map(answer, pipeline.maps(answer)), arguments)
    elif "explain" in arguments:
        write(explain.explain(answer, arguments["explain"]), arguments)
    else:
        answer = pipeline.with_flips(answer)
        write(answers.ESTIMATE[arguments.get("format", "table")](answer), arguments)
    return YES if answer.decision.meets else NO


def measured_of(arguments: Arguments, catalog: Catalog, job: Job, now: datetime) -> Measured:
    """The job's rows counted, by their vendors or a plugin as well where that is asked for."""
    from planner import pipeline

    known = known_of(arguments, now)
    with (
        Bar(job.workload, keeps=job.exact) as bar,
        measuring.references(arguments, job.requirements.region, bar.say) as references,
    ):
        return pipeline.measure(catalog, job, bar, known, references)


def open_screen(
    screen: Screen,
    arguments: Arguments,
    clock: Clock,
    *,
    place: str = "plan",
    budget: Path | None = None,
) -> int:
    """The screen on the job that the flags state, or on the welcome; at one of its places."""
    now = clock()
    arguments = with_job_file(arguments)
    stated = "workload" in arguments or "rows" in arguments
    return screen(
        job_of(arguments, now) if stated else None,
        clock=clock,
        on=as_of(arguments, now) if "as_of" in arguments else None,
        taught=lambda: (history_of(arguments), known_of(arguments, clock())),
        same=tuple(_same(arguments)),
        pricing=(Path(arguments["pricing"]),) if "pricing" in arguments else (),
        place=place,
        budget=budget,
    )


SAME = {
    "input_format": "--input-format",
    "json_schema": "--json-schema",
    "history": "--history",
    "as_of": "--as-of",
    "pricing": "--pricing",
}
"""Flags that no key of the screen changes: they stay in every command that it shows."""


def _same(arguments: Arguments) -> Iterator[str]:
    for key, flag in SAME.items():
        if key in arguments:
            yield from (flag, str(arguments[key]))
    for text in arguments.get("params", ()):
        yield from ("--param", text)


def history_of(arguments: Arguments) -> tuple[FinishedJob, ...]:
    """The finished batches of the file that is named, else the ledger's own where there is one."""
    if "history" in arguments:
        from planner import job

        return job.history(Path(arguments["history"]))
    from planner.handoff import home

    data = home.data_home()
    if not (data / home.LEDGER).is_file():
        return ()
    from planner import standing

    return standing.history(data)


def known_of(arguments: Arguments, now: datetime) -> Known | None:
    """What jobs and pilots have taught; None where nothing has, or `--history` stands for it."""
    from planner.handoff import home

    folder = home.data_home()
    if "history" in arguments or not (folder / home.LEDGER).is_file():
        return None
    from planner.handoff import learned
    from planner.handoff.ledger import Ledger

    ledger = Ledger.read_only(folder)
    if ledger is None:
        return None
    with ledger:
        lessons = learned.lessons(ledger)
    extras = learned.extras(params_of(arguments), schema_of(arguments))
    return learned.Known(lessons=lessons, extras=extras, now=now)


class Bar:
    """Progress on stderr, from the second second on, and only on a terminal.

    Where the count `keeps` an estimate, an interrupt ends it and not the program; a second
    one does.
    """

    SHOW_AFTER = 1.0
    REDRAW_AFTER = 0.1

    def __init__(self, path: Path | None, *, keeps: bool = False, doing: str = "counting") -> None:
        self.keeps = keeps
        self.doing = doing
        self.stopped = False
        self.size = path.stat().st_size if path is not None and path.is_file() else 0
        self.started = self.drawn = time.monotonic()
        self.live = sys.stderr.isatty()
        self.shown = False

    def __enter__(self) -> Self:
        self.before = signal.getsignal(signal.SIGINT)
        if self.keeps:
            signal.signal(signal.SIGINT, self.stop)
        return self

    def stop(self, *_: object) -> None:
        """End the count at the next report; another interrupt is the program's again."""
        self.stopped = True
        signal.signal(signal.SIGINT, self.before)

    def __exit__(self, *_: object) -> None:
        signal.signal(signal.SIGINT, self.before)
        if self.shown:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()

    def say(self, line: str) -> None:
        """A line of its own."""
        sys.stderr.write("\r\x1b[K" * self.shown + f"{line}\n")
        sys.stderr.flush()

    def __call__(self, rows: int, done: int) -> None:
        """Show how far it is; StoppedError after an interrupt that keeps what there is."""
        if self.stopped:
            from planner.workload.draws import StoppedError

            raise StoppedError
        now = time.monotonic()
        if not self.live or now - self.started < self.SHOW_AFTER:
            return
        if now - self.drawn < self.REDRAW_AFTER:
            return
        self.drawn, self.shown = now, True
        spent = now - self.started
        left = spent * (self.size - done) / done if done else 0.0
        share = percent(done / max(1, self.size))
        sys.stderr.write(
            f"\r\x1b[K{self.doing}: {counted(rows, 'row')}, {share}, "
            f"{rows / spent:,.0f} rows/s, {left:.0f} s left"
        )
        sys.stderr.flush()


# --- from flags to a job ----------------------------------------------------------------


def with_job_file(arguments: Arguments) -> Arguments:
    """A workload that is a job file replaced by what it says; flags win over it."""
    workload = arguments.get("workload")
    if workload is None or Path(workload).suffix not in JOB_SUFFIXES:
        return arguments
    from planner import job

    parser = Parser(argument_default=argparse.SUPPRESS, add_help=False)
    job_flags(parser)
    request_flags(parser)
    flags = {
        option.removeprefix("--"): action
        for action in parser._actions  # noqa: SLF001 -- argparse has no public list of options
        for option in action.option_strings
        if option.startswith("--")
    }
    words = job.file_flags(
        Path(workload),
        switches={name for name, action in flags.items() if action.nargs == 0},
        known=set(flags),
    )
    said = vars(parser.parse_args(words))
    given = {key: value for key, value in arguments.items() if key != "workload"}
    return {**said, **given}


def job_of(arguments: Mapping[str, Any], now: datetime) -> Job:
    """The job that the flags state; InputError for whatever cannot be read or does not go."""
    from planner import job as jobs
    from planner.workload import prompt

    _exclusive(arguments)
    made = jobs.Job(
        workload=_path(arguments, "workload"),
        input_format=arguments.get("input_format"),
        rows=arguments.get("rows"),
        input_tokens=arguments.get("input_tokens"),
        prompt=_text(arguments, "prompt"),
        system=_text(arguments, "system"),
        of_rows=arguments.get("of_rows"),
        skip_bad_rows=arguments.get("skip_bad_rows", False),
        output=_output(arguments),
        models=tuple(arguments.get("models", ())),
        shared_prefix=arguments.get("shared_prefix", 0),
        requirements=_requirements(arguments),
        precision=arguments.get("precision", jobs.Job().precision),
        exact=arguments.get("exact", False),
        seed=arguments.get("seed", 0),
        definitions=prompt.definitions(params_of(arguments), schema_of(arguments)),
    )
    if arguments.get("workload") == sample.NAME:
        made = jobs.shipped_sample(made)
    if "deadline" in arguments:
        at = jobs.deadline(arguments["deadline"], now)
        made = made.at_deadline((at - now).total_seconds(), now)
    return made


def params_of(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Every `--param KEY=JSON`; a word that is no JSON is an error, not a guess at text."""
    return dict(map(_param, arguments.get("params", ())))


def _param(text: str) -> tuple[str, Any]:
    from planner import job

    key, equals, value = text.partition("=")
    if not key or not equals:
        raise InputError.of(
            "bad-option", f"--param {text!r} cannot be read", hint="give KEY=JSON, as in top_k=5"
        )
    return key, job.json_value(value, f"--param {key}")


def schema_of(arguments: Mapping[str, Any]) -> dict[str, Any] | None:
    """What `--json-schema` holds, None without it; InputError where it is no JSON object."""
    if "json_schema" not in arguments:
        return None
    from planner import job

    path = Path(arguments["json_schema"])
    schema = job.json_value(job.text_file(path, "--json-schema").text, f"--json-schema {path}")
    if not isinstance(schema, dict):
        raise InputError.of("bad-schema", f"--json-schema {path} is not a JSON object")
    return schema


EXCLUSIVE = (
    ("workload", "rows"),
    ("prompt", "prompt_file"),
    ("system", "system_file"),
    ("output_tokens", "output_sample"),
    ("output_tokens", "output_ratio"),
    ("output_sample", "output_ratio"),
)


def _exclusive(arguments: Mapping[str, Any]) -> None:
    for one, other in EXCLUSIVE:
        if one in arguments and other in arguments:
            names = " and ".join(
                "a workload" if name == "workload" else f"--{name.replace('_', '-')}"
                for name in (one, other)
            )
            raise InputError.of("bad-option", f"{names} exclude each other", hint="give one")


def _path(arguments: Mapping[str, Any], name: str) -> Path | None:
    return Path(arguments[name]) if name in arguments else None


def _text(arguments: Mapping[str, Any], name: str) -> Any:
    from planner import job as jobs

    if name in arguments:
        return jobs.Text(text=arguments[name], name=f"--{name}")
    if f"{name}_file" not in arguments:
        return None
    return jobs.text_file(Path(arguments[f"{name}_file"]), f"--{name}-file")


def _output(arguments: Mapping[str, Any]) -> Any:
    from planner import job as jobs

    tokens, cv = arguments.get("output_tokens", (None, None))
    path, field = arguments.get("output_sample", (None, None))
    return jobs.Output(
        tokens=tokens,
        cv=cv,
        limit=arguments.get("max_output_tokens"),
        sample=path,
        sample_field=field,
        ratio=arguments.get("output_ratio"),
    )


def _requirements(arguments: Mapping[str, Any]) -> Any:
    from planner.decision.requirements import Requirements

    demand = Requirements(
        confidence=arguments.get("confidence", Requirements().confidence),
        respond_within=arguments.get("respond_within"),
        lanes=tuple(arguments.get("lanes", ())),
        region=arguments.get("region"),
        max_cost=arguments.get("max_cost"),
        tiers=tuple(arguments.get("tiers", ())),
        limits=tuple(dict(arguments.get("limits", ())).items()),
        latency=arguments.get("latency"),
        concurrency=arguments.get("concurrency"),
        cache=arguments.get("cache", "auto"),
        cache_hit_share=arguments.get("cache_hit_share"),
        degraded=arguments.get("degraded", False),
    )
    share, retries = arguments.get("failure_rate", (None, None))
    if share is not None:
        demand = replace(demand, failure_rate=share)
    return demand if retries is None else replace(demand, retries=retries)


# --- the flags --------------------------------------------------------------------------


class _Read(argparse.Action):
    """An option read by one of the notations of `planner.job`, imported when it is used."""

    def __init__(self, *args: Any, notation: str, many: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.notation = notation
        self.many = many

    def __call__(
        self,
        _parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        from planner import job

        read = getattr(job, self.notation)
        value = read(values, option_string) if self.notation in job.FLAGGED else read(values)
        if self.many:
            value = [*getattr(namespace, self.dest, ()), value]
        setattr(namespace, self.dest, value)


def job_flags(parser: argparse.ArgumentParser) -> None:
    """Everything that states a job; a job file holds the same keys."""
    add = parser.add_argument
    add(
        "workload",
        nargs="?",
        metavar="WORKLOAD",
        help="a file of rows, a folder of texts, - for standard input, a job.yaml, or 'sample'",
    )
    add("--input-format", metavar="NAME", help="the file's format, where its name does not say")
    reads(parser, "--rows", "whole", "N", "figures instead of a file: rows")
    reads(parser, "--input-tokens", "whole", "N", "figures instead of a file: prompt tokens a row")
    add("--prompt", metavar="TEXT", help="template of the user message, {{ column }}")
    add("--prompt-file", metavar="FILE", help="the same from a file")
    add("--system", metavar="TEXT", help="template of the system prompt")
    add("--system-file", metavar="FILE", help="the same from a file")
    add("--json-schema", metavar="FILE", help="a JSON schema that each answer has to follow")
    add(
        "--param",
        dest="params",
        action="append",
        metavar="KEY=JSON",
        help="any other parameter of the request; repeat",
    )
    reads(parser, "--of-rows", "whole", "N", "the file is a random sample of a job of N rows")
    add("--skip-bad-rows", action="store_true", help="leave unreadable rows out and count them")
    add("--model", dest="models", action="append", metavar="MODEL", help="repeat to compare")
    reads(parser, "--output-tokens", "output_tokens", "N[:CV]", "answer tokens a row")
    reads(parser, "--max-output-tokens", "whole", "N", "the limit that goes into each request")
    reads(parser, "--output-sample", "sample_file", "FILE[:FIELD]", "real answers to learn from")
    reads(parser, "--output-ratio", "output_ratio", "R[:CV]", "answers of R x the prompt's tokens")
    _demand_flags(parser)
    reads(parser, "--precision", "share", "SHARE", "draw rows until tokens are known so well (1%%)")
    add("--exact", action="store_true", help="count every row instead (Ctrl-C keeps the estimate)")
    reads(parser, "--seed", "natural", "N", "of whatever is drawn (0)")
    catalog_flags(parser)


def _demand_flags(parser: argparse.ArgumentParser) -> None:
    """When it is due, what it may cost, and under which limits and habits it runs."""
    add = parser.add_argument
    add("--deadline", metavar="WHEN", help="6h, 18:00, 'tomorrow 18:00' or an ISO time")
    reads(parser, "--respond-within", "seconds", "TIME", "somebody waits for each answer")
    reads(parser, "--confidence", "share", "SHARE", "wanted certainty of the deadline (0.95)")
    reads(parser, "--max-cost", "money", "USD", "what it may cost at most")
    add("--lane", dest="lanes", action="append", metavar="LANE", help="this lane only; repeat")
    add("--region", metavar="REGION", help="processing in this region")
    reads(parser, "--tier", "tier", "[PROVIDER=]NAME", "your usage tier", dest="tiers")
    reads(parser, "--limit", "limit", "NAME=N", "your own limit, such as rpm=1000", dest="limits")
    reads(parser, "--latency", "latency", "SECONDS[:CV]", "time of one realtime answer")
    reads(parser, "--concurrency", "whole", "N", "realtime requests in flight")
    reads(parser, "--failure-rate", "failure_rate", "P[:RETRIES]", "realtime attempts that fail")
    reads(parser, "--shared-prefix", "whole", "N", "leading prompt tokens that all rows share")
    add("--cache", choices=("auto", "off"), help="prompt caches as options of their own, or none")
    reads(
        parser, "--cache-hit-share", "share", "SHARE", "realtime rows that find the prefix cached"
    )
    add("--degraded", action="store_true", help="a known incident: batches take their window")
    add("--history", metavar="FILE", help="your finished batches, one JSON object a line")


def request_flags(parser: argparse.ArgumentParser) -> None:
    """How requests are made and named; a job file may hold it as well."""
    add = parser.add_argument
    add("--endpoint", metavar="PATH", help="such as /v1/chat/completions, where there are several")
    add("--key", metavar="COLUMN", help="your own name of a row (default: its number)")
    tag_flag(parser)


def tag_flag(parser: argparse.ArgumentParser) -> None:
    """Whom the job is charged to, on its bill and in a budget."""
    words = "whom it is charged to, such as project=triage; repeat"
    reads(parser, "--tag", "tag", "KEY=VALUE", words, dest="tags")


def reads(
    parser: argparse.ArgumentParser,
    flag: str,
    notation: str,
    metavar: str,
    help: str,
    *,
    dest: str | None = None,
) -> None:
    """A flag in one of the job's notations; with a `dest` of its own it may be repeated."""
    named: Arguments = {} if dest is None else {"dest": dest, "many": True}
    parser.add_argument(flag, action=_Read, notation=notation, metavar=metavar, help=help, **named)


COMMANDS = {"estimate": (_flags, run)}
