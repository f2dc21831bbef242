"""What is asked: the job as flags, a job.yaml or a screen state it, parsed once.

Flags and the job file hold the same keys in the same notation, so each notation is read by
one function here (`deadline`, `limit`, ...) whoever wrote it down. Parsing it in the command
line would leave the file and the screen with notations of their own.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, time, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

from planner import sample
from planner.catalog.facts import LIMIT_FIGURES
from planner.decision.requirements import Latency, Requirements
from planner.decision.turnaround import FinishedJob
from planner.errors import Collector, InputError, did_you_mean
from planner.money import Usd, plain, usd
from planner.notation import unreadable, whole
from planner.workload.prompt import NO_DEFINITIONS, Definitions

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
DAY_WORDS = {"today": 0, "tomorrow": 1}


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """What is said of the answers: a mean with its spread, or a file of real ones."""

    tokens: int | None = None
    cv: float | None = None
    limit: int | None = None
    sample: Path | None = None
    sample_field: str | None = None
    ratio: tuple[Fraction, float | None] | None = None
    """(answer tokens a prompt token, their CV): answers as long as the prompts make them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """A template and the name by which an error points at it (a flag or a file)."""

    text: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One question, before any of it is looked up."""

    workload: Path | None = None
    input_format: str | None = None
    rows: int | None = None
    input_tokens: int | None = None
    prompt: Text | None = None
    system: Text | None = None
    of_rows: int | None = None
    skip_bad_rows: bool = False
    output: Output = field(default_factory=Output)
    models: tuple[str, ...] = ()
    shared_prefix: int = 0
    requirements: Requirements = field(default_factory=Requirements)
    deadline_at: datetime | None = None
    history: Path | None = None
    precision: float = 0.01
    """Half the 95 % interval of the input tokens, as a share, at which drawing rows ends."""
    exact: bool = False
    """Count every row, however long that takes."""
    seed: int = 0
    definitions: Definitions = NO_DEFINITIONS
    """Tools and schema that go into every request."""

    def at_deadline(self, seconds: float | None, now: datetime) -> Job:
        """The same question for another deadline, in seconds from now (None: no deadline)."""
        at = None if seconds is None else after(now, seconds)
        demand = replace(self.requirements, deadline=seconds)
        return replace(self, requirements=demand, deadline_at=at)


def after(now: datetime, seconds: float) -> datetime:
    """The moment so many seconds from `now`, in its zone; OverflowError beyond the year 9999.

    Worked out in UTC and returned with the offset that holds then: between two moments of one
    named zone Python counts the wall clock, an hour off where the clocks change in between.
    """
    return _with_offset((now.astimezone(UTC) + timedelta(seconds=seconds)).astimezone(now.tzinfo))


def _with_offset(at: datetime) -> datetime:
    """The same moment with its offset instead of its zone, safe to subtract from."""
    return at.astimezone(timezone(at.utcoffset() or timedelta(0)))


# --- notations --------------------------------------------------------------------------


def seconds(text: str, flag: str) -> float:
    """A duration such as `90s`, `15m`, `6h`, `1.5d`, `4h30m`; InputError otherwise."""
    pairs = re.findall(r"(\d+(?:\.\d+)?)([smhd])", text)
    if not pairs or "".join(number + unit for number, unit in pairs) != text.replace(" ", ""):
        raise unreadable(flag, text, "a duration such as 90s, 15m, 6h or 1d12h")
    return sum(float(number) * UNITS[unit] for number, unit in pairs)


def deadline(text: str, now: datetime, flag: str = "--deadline") -> datetime:
    """The moment meant by `6h`, `18:00`, `tomorrow 18:00` or an ISO date and time.

    A time without a zone is in the zone of `now`; a bare time that has passed today means
    tomorrow's. InputError for anything else, and for a moment that is not ahead.
    """
    words = text.strip()
    if re.fullmatch(r"[\d.\s]*[\d.][smhd].*", words):
        return _after(now, _positive(seconds(words, flag), flag, text), flag, text)
    meant = _clock(words, now) or _iso(words, now)
    if meant is None:
        raise unreadable(flag, text, "6h, 18:00, 'tomorrow 18:00' or 2026-11-23T18:00+01:00")
    at = _with_offset(meant)
    if at <= now:
        raise InputError.of(
            "deadline-passed",
            f"{flag} {text} is {at.isoformat(timespec='minutes')}, which is not ahead",
            hint=f"it is {now.isoformat(timespec='minutes')} now",
        )
    return at


def _after(now: datetime, ahead: float, flag: str, text: str) -> datetime:
    try:
        return after(now, ahead)
    except OverflowError:
        raise unreadable(flag, text, "a moment before the year 10000") from None


def _clock(words: str, now: datetime) -> datetime | None:
    match = re.fullmatch(r"(?:(today|tomorrow)\s+)?(\d{1,2}):(\d{2})", words)
    if match is None or int(match[2]) > 23 or int(match[3]) > 59:  # noqa: PLR2004 -- a clock
        return None
    day = now.date() + timedelta(days=DAY_WORDS.get(match[1] or "", 0))
    at = datetime.combine(day, time(int(match[2]), int(match[3])), tzinfo=now.tzinfo)
    return at if at > now or match[1] else at + timedelta(days=1)


def _iso(words: str, now: datetime) -> datetime | None:
    try:
        at = datetime.fromisoformat(words)
    except ValueError:
        return None
    return at if at.tzinfo else at.replace(tzinfo=now.tzinfo)


def number_with_cv(text: str, flag: str) -> tuple[float, float | None]:
    """`N` or `N:CV`, both positive (CV may be 0)."""
    first, colon, second = text.partition(":")
    value = _positive(_number(first, flag, text), flag, text)
    return value, _number(second, flag, text) if colon else None


def latency(text: str, flag: str = "--latency") -> Latency:
    """`SECONDS` or `SECONDS:CV` of one request."""
    mean, cv = number_with_cv(text, flag)
    return Latency(mean=mean, cv=DEFAULT_LATENCY_CV if cv is None else cv)


DEFAULT_LATENCY_CV = 0.8


def output_tokens(text: str, flag: str = "--output-tokens") -> tuple[int, float | None]:
    """`N` or `N:CV` tokens a row."""
    first, colon, second = text.partition(":")
    return whole(first, flag), _number(second, flag, text) if colon else None


def output_ratio(text: str, flag: str = "--output-ratio") -> tuple[Fraction, float | None]:
    """`RATIO` or `RATIO:CV` of the prompt's tokens."""
    _, cv = number_with_cv(text, flag)
    return Fraction(text.partition(":")[0].strip()), cv


def limit(text: str, flag: str = "--limit") -> tuple[str, int]:
    """`NAME=N`, such as `rpm=1000`."""
    name, equals, value = text.partition("=")
    name = name.strip().lower()
    if not equals or name not in LIMIT_FIGURES:
        hint = did_you_mean(name, LIMIT_FIGURES) or f"limits: {', '.join(LIMIT_FIGURES)}"
        raise InputError.of("bad-option", f"{flag} {text}: no limit of that name", hint=hint)
    return name, whole(value.strip(), f"{flag} {name} =")


def tag(text: str, flag: str = "--tag") -> tuple[str, str]:
    """`KEY=VALUE`, such as `project=triage`."""
    key, equals, value = (each.strip() for each in text.partition("="))
    if not key or not equals or not value:
        raise unreadable(flag, text, "KEY=VALUE, such as project=triage")
    return key, value


def tier(text: str, flag: str = "--tier") -> tuple[str | None, str]:
    """`NAME` for every provider, or `PROVIDER=NAME`."""
    provider, equals, name = (each.strip() for each in text.rpartition("="))
    if not name or (equals and not provider):
        raise unreadable(flag, text, "NAME or PROVIDER=NAME")
    return provider or None, name


def failure_rate(text: str, flag: str = "--failure-rate") -> tuple[float, int | None]:
    """`P` or `P:RETRIES`, P a share below 1."""
    first, colon, second = text.partition(":")
    share_ = _number(first, flag, text)
    if not 0 <= share_ < 1:
        raise unreadable(flag, text, "a share from 0 to below 1, or P:RETRIES")
    return share_, whole(second, flag, least=0) if colon else None


def share(text: str, flag: str) -> float:
    """A share such as 0.95 or `95%`, above 0 and below 1."""
    percent = text.strip().endswith("%")
    value = _number(text.strip().removesuffix("%"), flag, text) / (100 if percent else 1)
    if not 0 < value < 1:
        raise unreadable(flag, text, "a share between 0 and 1, such as 0.95")
    return value


def money(text: str, flag: str) -> Usd:
    """An amount in US dollars, such as 25 or 0.50."""
    value = usd(text.strip().removeprefix("$").replace(",", ""))
    if value is None or value <= 0:
        raise unreadable(flag, text, "an amount in US dollars, such as 25 or 0.50")
    return value


def sample_file(text: str) -> tuple[Path, str | None]:
    """`FILE` or `FILE:FIELD`; a path that exists is taken whole, colon or not."""
    path = Path(text)
    if path.exists() or ":" not in text:
        return path, None
    name, _, column = text.rpartition(":")
    return Path(name), column or None


def _number(text: str, flag: str, whole_text: str) -> float:
    if not re.fullmatch(r"\d+(\.\d+)?|\.\d+", text.strip()):
        raise unreadable(flag, whole_text, "a number")
    return float(text)


def _positive(value: float, flag: str, text: str) -> float:
    if value <= 0:
        raise unreadable(flag, text, "more than zero")
    return value


def natural(text: str, flag: str) -> int:
    """A whole number from 0 on."""
    return whole(text, flag, least=0)


FLAGGED = frozenset(
    {
        "seconds",
        "latency",
        "whole",
        "natural",
        "output_tokens",
        "output_ratio",
        "limit",
        "failure_rate",
        "share",
        "money",
    }
)
"""Notations whose errors name the flag that was written."""


# --- files ------------------------------------------------------------------------------


def text_file(path: Path, flag: str) -> Text:
    """A template from a file; a final newline is the editor's, not the prompt's."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise InputError.of("unreadable-file", f"{flag} {path}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise InputError.of(
            "not-utf-8", f"{flag} {path} is not UTF-8 (byte {error.start})"
        ) from None
    return Text(text=text.removesuffix("\n"), name=str(path))


def shipped_sample(job: Job) -> Job:
    """The sample that travels in the package, with its prompt and its answers to learn from."""
    shipped = sample.paths()
    learned = replace(job.output, sample=shipped.rows, sample_field=shipped.output_field)
    return replace(
        job,
        workload=shipped.rows,
        prompt=job.prompt or text_file(shipped.prompt, "--prompt-file"),
        output=learned if job.output == Output(limit=job.output.limit) else job.output,
    )


def file_flags(path: Path, *, known: set[str], switches: set[str]) -> list[str]:
    """A job file as the flags it stands for; every problem of it in one InputError.

    Paths in it are relative to its own folder, as people expect of a file that travels.
    """
    from planner import strict_yaml

    document = strict_yaml.read(path)
    if not isinstance(document.data, dict):
        raise InputError.of("job-file", f"{path} is not a mapping of options")
    problems = Collector()
    words: list[str] = []
    for key, value in document.data.items():
        words += _flag_words(
            _JobKey(key, document.where((key,)), path.parent), value, known, switches, problems
        )
    problems.raise_if_any()
    return words


@dataclass(frozen=True, slots=True)
class _JobKey:
    name: str
    where: str
    folder: Path


PATHS = frozenset(
    "workload prompt-file system-file history pricing output-sample json-schema".split()
)
TAGS = "tags"
"""A mapping in the job file: each entry is one `--tag KEY=VALUE`."""
PARAMS = "params"
"""A mapping in the job file: each entry is one `--param KEY=JSON`."""


def _flag_words(
    key: _JobKey, value: Any, known: set[str], switches: set[str], problems: Collector
) -> list[str]:
    names = known | {"workload", PARAMS, TAGS}
    if key.name == TAGS and isinstance(value, dict):
        return [word for name, each in value.items() for word in ("--tag", f"{name}={each}")]
    if key.name == PARAMS and isinstance(value, dict):
        return [word for name, each in value.items() for word in ("--param", _param(name, each))]
    if key.name not in names:
        problems.add(
            "unknown-key",
            f"{key.name!r} is not an option",
            where=key.where,
            hint=did_you_mean(key.name, names) or "the keys are the flags without their dashes",
        )
        return []
    if key.name in switches:
        return [f"--{key.name}"] if value is True else []
    values = value if isinstance(value, list) else [value]
    texts = [_relative(key, str(each)) for each in values]
    if key.name == "workload":
        return texts
    return [word for text in texts for word in (f"--{key.name}", text)]


def _param(name: str, value: Any) -> str:
    """`KEY=JSON`; a number keeps the digits it was written with."""
    numbers: list[str] = []

    def held(each: Any) -> str:
        if not isinstance(each, Decimal):
            return str(each)
        numbers.append(plain(each))
        return f"\0{len(numbers) - 1}\0"

    made = json.dumps(value, default=held, ensure_ascii=False)
    return f"{name}=" + re.sub(r'"\\u0000(\d+)\\u0000"', lambda at: numbers[int(at[1])], made)


def json_value(text: str, flag: str) -> Any:
    """JSON as a flag or a file gives it, numbers exact; InputError."""
    try:
        return json.loads(text, parse_float=Decimal, parse_constant=_no_constant)
    except ValueError as error:
        raise InputError.of("not-json", f"{flag}: not JSON: {error}") from None


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a JSON value")


def _relative(key: _JobKey, text: str) -> str:
    if key.name not in PATHS or text == sample.NAME:
        return text
    return str(key.folder / text)


def history(path: Path) -> tuple[FinishedJob, ...]:
    """Finished batches, one JSON object a line; every problem of the file in one InputError."""
    problems = Collector()
    jobs = []
    for number, line in enumerate(text_file(path, "--history").text.split("\n"), start=1):
        if line.strip():
            job = _finished(line, f"{path}:{number}", problems)
            jobs += [job] if job else []
    problems.raise_if_any()
    return tuple(jobs)


HISTORY_KEYS = ("provider", "model", "lane", "rows", "created", "state")


def _finished(line: str, where: str, problems: Collector) -> FinishedJob | None:
    try:
        entry = json.loads(line)
        ended = entry.get("ended")
        return FinishedJob(
            provider=entry["provider"],
            model=entry["model"],
            lane=entry["lane"],
            rows=entry["rows"],
            created=datetime.fromisoformat(entry["created"]),
            ended=None if ended is None else datetime.fromisoformat(ended),
            state=entry["state"],
        )
    except KeyError as error:
        problems.add(
            "history",
            f"no {error.args[0]!r}",
            where=where,
            hint=f"each line has {', '.join(HISTORY_KEYS)} and ended",
        )
    except (ValueError, TypeError, AttributeError) as error:
        problems.add("history", str(error), where=where)
    return None
