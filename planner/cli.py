"""The command line: parse, call the pipeline, print.

stdout is data, stderr is narration. Heavy libraries are imported by the command that uses
them, so `--help` and look-ups start fast; argparse for the same reason (the usual
alternatives cost two to seven times its start). A job file holds the same keys as the
flags: it is read into the same flags, and what the command line says wins.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, Protocol, Self

from planner import __version__
from planner.errors import InputError, PlannerError, UnknownFactError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date, datetime

    from planner.catalog import Catalog
    from planner.decision.turnaround import FinishedJob
    from planner.job import Job

Arguments = dict[str, Any]
Clock = Callable[[], "datetime"]
Command = Callable[[Arguments, Clock], int]

YES, NO, INTERRUPTED = 0, 1, 130
SAMPLE = "sample"
JOB_SUFFIXES = (".yaml", ".yml")


class Screen(Protocol):
    """The TUI, handed in by the entry point: one face does not import the other."""

    def __call__(
        self,
        job: Job | None,
        *,
        catalog_loader: Callable[[], Catalog],
        clock: Clock,
        on: date | None,
    ) -> int:
        """Open on a job, or on the welcome; the exit code."""


def main(argv: Sequence[str], *, clock: Clock, screen: Screen | None = None) -> int:
    """Run one command; the exit code: 0 done or yes, 1 no, 2 usage, 3 unknown, 4 vendor, 130.

    `screen` opens the TUI on a job; without one (or a terminal) its answer is printed.
    """
    try:
        return _run(list(argv), clock, screen)
    except PlannerError as error:
        print(error.render(), file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        # The reader of our output has gone; keep the interpreter from saying so once more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return YES


def _run(argv: list[str], clock: Clock, screen: Screen | None) -> int:
    parser = _parser()
    commands = {"estimate", "models", "check", "prices"}
    if not argv or (argv[0] not in commands and argv[0] not in ("-h", "--help", "--version")):
        argv = ["tui", *argv]
    arguments = vars(parser.parse_args(argv))
    command: Command = arguments.pop("run")
    if command is _tui and screen is not None and sys.stdin.isatty() and sys.stdout.isatty():
        return _open(screen, arguments, clock)
    return command(arguments, clock)


# --- commands ---------------------------------------------------------------------------


def _estimate(arguments: Arguments, clock: Clock) -> int:
    from planner import pipeline
    from planner.report import answers, text

    now = clock()
    arguments = with_job_file(arguments)
    job = job_of(arguments, now)
    catalog = _catalog(arguments)
    on = _as_of(arguments, now)
    with _Bar(job.workload) as bar:
        measured = pipeline.measure(catalog, job, bar)
    history = _history(arguments)
    answer = pipeline.estimate(catalog, measured, job, now=now, on=on, history=history)
    if "explain" in arguments:
        _print(text.explain(answer, arguments["explain"]), arguments)
    else:
        _print(answers.ESTIMATE[arguments.get("format", "table")](answer), arguments)
    return YES if answer.decision.meets else NO


def _models(arguments: Arguments, clock: Clock) -> int:
    from planner import lookups
    from planner.report import facts

    catalog = _catalog(arguments)
    terms = tuple(arguments.get("terms", ()))
    found = lookups.support_matrix(
        catalog,
        on=_as_of(arguments, clock()),
        terms=terms,
        lane=arguments.get("lane"),
        provider=arguments.get("provider"),
    )
    if not found:
        wanted = " ".join(terms) or "these options"
        near = did_you_mean(terms[0], (model.id for model in catalog.models())) if terms else None
        raise UnknownFactError.of(
            "no-match",
            f"no model fits {wanted!r}",
            hint=near or "terms are parts of a name, or LANE:yes, LANE:no, LANE:unknown",
        )
    _print(facts.MODELS[arguments.get("format", "table")](found), arguments)
    return YES


def _check(arguments: Arguments, clock: Clock) -> int:
    from planner import lookups
    from planner.report import facts

    catalog = _catalog(arguments)
    model = catalog.model(arguments["model"])
    lane = arguments.get("lane") or lookups.batch_lane(catalog, model)
    answer = lookups.lane_answer(catalog, model, lane, on=_as_of(arguments, clock()))
    _print(facts.CHECK[arguments.get("format", "table")](answer), arguments)
    return {"yes": YES, "no": NO}.get(answer.support.state, UnknownFactError.exit_code)


def _prices_show(arguments: Arguments, clock: Clock) -> int:
    from planner import lookups
    from planner.report import facts

    catalog = _catalog(arguments)
    answer = lookups.price_answer(
        catalog,
        catalog.model(arguments["model"]),
        arguments.get("lane"),
        on=_as_of(arguments, clock()),
        prompt_tokens=arguments.get("prompt_tokens", 0),
        region=arguments.get("region"),
    )
    if arguments.get("explain_rates"):
        _print(facts.steps(answer), arguments)
    else:
        _print(facts.PRICES[arguments.get("format", "table")](answer), arguments)
    return YES


def _tui(arguments: Arguments, clock: Clock) -> int:
    """Where there is no terminal: the same answer as text, or what can be asked."""
    if "workload" in arguments or "rows" in arguments:
        return _estimate(arguments, clock)
    _parser().print_help()
    return YES


def _open(screen: Screen, arguments: Arguments, clock: Clock) -> int:
    now = clock()
    arguments = with_job_file(arguments)
    stated = "workload" in arguments or "rows" in arguments
    return screen(
        job_of(arguments, now) if stated else None,
        catalog_loader=lambda: _catalog(arguments),
        clock=clock,
        on=_as_of(arguments, now) if "as_of" in arguments else None,
    )


# --- what the commands share ------------------------------------------------------------


def _catalog(arguments: Arguments) -> Catalog:
    from planner import catalog

    overlay = arguments.get("pricing")
    return catalog.load(overlays=(Path(overlay),) if overlay else ())


def _as_of(arguments: Arguments, now: datetime) -> date:
    from planner import job

    return job.day(arguments["as_of"]) if "as_of" in arguments else now.date()


def _history(arguments: Arguments) -> tuple[FinishedJob, ...]:
    if "history" not in arguments:
        return ()
    from planner import job

    return job.history(Path(arguments["history"]))


def _print(text: str, arguments: Arguments) -> None:
    """To stdout, or whole to the file named by -o: nothing half-written stays behind."""
    if "output" not in arguments:
        sys.stdout.write(text)
        sys.stdout.flush()
        return
    path = Path(arguments["output"])
    part = path.with_name(f"{path.name}.part")
    try:
        part.write_text(text, encoding="utf-8")
        part.replace(path)
    except OSError as error:
        raise InputError.of("cannot-write", f"{path}: {error.strerror}") from None


class _Bar:
    """Progress on stderr, from the second second on, and only on a terminal."""

    SHOW_AFTER = 1.0
    REDRAW_AFTER = 0.1

    def __init__(self, path: Path | None) -> None:
        self.size = path.stat().st_size if path is not None and path.is_file() else 0
        self.started = self.drawn = time.monotonic()
        self.live = sys.stderr.isatty()
        self.shown = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.shown:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()

    def __call__(self, rows: int, done: int) -> None:
        now = time.monotonic()
        if not self.live or now - self.started < self.SHOW_AFTER:
            return
        if now - self.drawn < self.REDRAW_AFTER:
            return
        self.drawn, self.shown = now, True
        spent = now - self.started
        left = spent * (self.size - done) / done if done else 0.0
        sys.stderr.write(
            f"\r\x1b[Kcounting: {rows:,} rows, {done / max(1, self.size):.0%}, "
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

    parser = _Parser(argument_default=argparse.SUPPRESS, add_help=False)
    _job_flags(parser)
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
        seed=arguments.get("seed", 0),
    )
    if made.workload is not None and str(made.workload) == SAMPLE and not made.workload.exists():
        made = jobs.shipped_sample(made)
    if "deadline" in arguments:
        at = jobs.deadline(arguments["deadline"], now)
        made = made.at_deadline((at - now).total_seconds(), now)
    return made


EXCLUSIVE = (
    ("workload", "rows"),
    ("prompt", "prompt_file"),
    ("system", "system_file"),
    ("output_tokens", "output_sample"),
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
        degraded=arguments.get("degraded", False),
    )
    share, retries = arguments.get("failure_rate", (None, None))
    if share is not None:
        demand = replace(demand, failure_rate=share)
    return demand if retries is None else replace(demand, retries=retries)


# --- the parser -------------------------------------------------------------------------


class _Parser(argparse.ArgumentParser):
    """argparse with our errors: one form for every mistake, and exit 2."""

    def error(self, message: str) -> NoReturn:
        raise InputError.of("usage", message, hint=f"{self.prog} --help lists what there is")


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


def _parser() -> _Parser:
    parser = _Parser(
        prog="planner",
        description="What an LLM job will cost, when it is done, batch or realtime, and why.",
        epilog="planner [WORKLOAD] opens the screen. Each command has its own --help.",
    )
    parser.add_argument("--version", action="version", version=f"planner {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    estimate = _command(commands, "estimate", _estimate, "tokens, cost, time and a recommendation")
    _job_flags(estimate)
    estimate.add_argument("--explain", metavar="OPTION", help="the arithmetic of one option")
    _output_flags(estimate, ("table", "json", "csv", "md"))
    models = _command(commands, "models", _models, "which model supports which lane, at what price")
    models.add_argument("terms", nargs="*", metavar="FILTER", help="part of a name, or batch:yes")
    models.add_argument("--lane", help="answer for this lane only")
    models.add_argument("--provider", help="models of this vendor only")
    _catalog_flags(models)
    _output_flags(models, ("table", "json", "csv", "md"))
    check = _command(commands, "check", _check, "does a model support a lane: yes, no or unknown")
    check.add_argument("model", metavar="MODEL")
    check.add_argument("--lane", help="the lane (default: the vendor's batch lane)")
    _catalog_flags(check)
    _output_flags(check, ("table", "json"))
    _prices_commands(commands)
    tui = _command(commands, "tui", _tui, None)
    _job_flags(tui)
    return parser


def _prices_commands(commands: Any) -> None:
    prices = commands.add_parser("prices", help="what a model costs, and says who")
    under = prices.add_subparsers(title="commands", metavar="COMMAND", required=True)
    show = _command(under, "show", _prices_show, "the exact rates of one request")
    show.add_argument("model", metavar="MODEL")
    show.add_argument("--lane", help="the lane (default: the ordinary one)")
    show.add_argument(
        "--prompt-tokens",
        action=_Read,
        notation="whole",
        metavar="N",
        help="the prompt's length, where it decides the price",
    )
    show.add_argument("--region", help="processing in this region")
    show.add_argument(
        "--explain",
        dest="explain_rates",
        action="store_true",
        help="how each rate came about",
    )
    _catalog_flags(show)
    _output_flags(show, ("table", "json"))


def _command(commands: Any, name: str, run: Any, help: str | None) -> argparse.ArgumentParser:
    options: Arguments = {"argument_default": argparse.SUPPRESS}
    if help is not None:
        options |= {"help": help, "description": help}
    made: argparse.ArgumentParser = commands.add_parser(name, **options)
    made.set_defaults(run=run)
    return made


def _output_flags(parser: argparse.ArgumentParser, formats: tuple[str, ...]) -> None:
    parser.add_argument("--format", choices=formats, help="how to print (default: table)")
    parser.add_argument("-o", "--output", metavar="FILE", help="write there instead of stdout")


def _catalog_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--as-of", metavar="DATE", help="prices and support of that day")
    parser.add_argument("--pricing", metavar="DIR", help="your own prices on top")


def _job_flags(parser: argparse.ArgumentParser) -> None:
    """Everything that states a job; a job file holds the same keys."""
    add = parser.add_argument
    add("workload", nargs="?", metavar="WORKLOAD", help="a file of rows, a job.yaml, or 'sample'")
    add("--input-format", metavar="NAME", help="the file's format, where its name does not say")
    _read(parser, "--rows", "whole", "N", "figures instead of a file: rows")
    _read(parser, "--input-tokens", "whole", "N", "figures instead of a file: prompt tokens a row")
    add("--prompt", metavar="TEXT", help="template of the user message, {{ column }}")
    add("--prompt-file", metavar="FILE", help="the same from a file")
    add("--system", metavar="TEXT", help="template of the system prompt")
    add("--system-file", metavar="FILE", help="the same from a file")
    _read(parser, "--of-rows", "whole", "N", "the file is a random sample of a job of N rows")
    add("--skip-bad-rows", action="store_true", help="leave unreadable rows out and count them")
    add("--model", dest="models", action="append", metavar="MODEL", help="repeat to compare")
    _read(parser, "--output-tokens", "output_tokens", "N[:CV]", "answer tokens a row")
    _read(parser, "--max-output-tokens", "whole", "N", "the limit that goes into each request")
    _read(parser, "--output-sample", "sample_file", "FILE[:FIELD]", "real answers to learn from")
    add("--deadline", metavar="WHEN", help="6h, 18:00, 'tomorrow 18:00' or an ISO time")
    _read(parser, "--respond-within", "seconds", "TIME", "somebody waits for each answer")
    _read(parser, "--confidence", "share", "SHARE", "wanted certainty of the deadline (0.95)")
    _read(parser, "--max-cost", "money", "USD", "what it may cost at most")
    add("--lane", dest="lanes", action="append", metavar="LANE", help="this lane only; repeat")
    add("--region", metavar="REGION", help="processing in this region")
    _read(parser, "--tier", "tier", "[PROVIDER=]NAME", "your usage tier", dest="tiers")
    _read(parser, "--limit", "limit", "NAME=N", "your own limit, such as rpm=1000", dest="limits")
    _read(parser, "--latency", "latency", "SECONDS[:CV]", "time of one realtime answer")
    _read(parser, "--concurrency", "whole", "N", "realtime requests in flight")
    _read(parser, "--failure-rate", "failure_rate", "P[:RETRIES]", "realtime attempts that fail")
    _read(parser, "--shared-prefix", "whole", "N", "leading prompt tokens that all rows share")
    add("--degraded", action="store_true", help="a known incident: batches take their window")
    add("--history", metavar="FILE", help="your finished batches, one JSON object a line")
    _read(parser, "--seed", "natural", "N", "of whatever is drawn (0)")
    _catalog_flags(parser)


def _read(
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
