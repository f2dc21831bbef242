"""budget.yaml and the baseline it is held against: their shapes, checked at the door.

A budget is a file under version control and not flags: it holds several jobs, each figure with
its low and high, and it is reviewed like code. So every problem is reported at its line, a key
or a name that does not exist is an error, and a figure is read exactly, `2.5 %` as 1/40.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from planner import strict_yaml
from planner.decision.baseline import JobSnapshot, Metered, MonthSnapshot, Snapshot
from planner.decision.forecast import Spread
from planner.errors import Collector, InputError
from planner.money import Usd, usd

if TYPE_CHECKING:
    from pathlib import Path

SCHEMA = "planner.budget/1"
MOST_MONTHS = 60
"""Nobody's prices are known for longer, and nobody's volumes."""

_MONTH = re.compile(r"(\d{4})-(0[1-9]|1[0-2])")
_SHARE = re.compile(r"(-?\d+(?:\.\d+)?) ?%")


def _bad(message: str, hint: str) -> PydanticCustomError:
    return PydanticCustomError("bad_value", message, {"hint": hint})


# --- notations --------------------------------------------------------------------------


def _number(value: Any) -> Fraction:
    """A number or a share such as `3 %`, exact."""
    if isinstance(value, int | Decimal) and not isinstance(value, bool):
        return Fraction(value)
    match = _SHARE.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise _bad(
            f"not a figure: {value!r}", "give a number, a share such as 3%, or low/expected/high"
        )
    return Fraction(match[1]) / 100


def _spread(value: Any) -> Spread:
    """One figure, or `expected` with `low`, `high` or both; an end that is not said is expected."""
    if isinstance(value, Spread):
        return value
    if not isinstance(value, dict):
        return Spread.exact(_number(value))
    unknown = set(value) - {"low", "expected", "high"}
    if unknown or "expected" not in value:
        raise _bad(
            f"keys {', '.join(map(str, value)) or 'missing'}",
            "give expected, and low, high or both",
        )
    expected = _number(value["expected"])
    low, high = (_number(value.get(end, value["expected"])) for end in ("low", "high"))
    if not low <= expected <= high:
        raise _bad("low, expected and high are not in that order", "low <= expected <= high")
    return Spread(low=low, expected=expected, high=high)


def _within(least: Fraction, most: Fraction | None, wanted: str, *, whole: bool = False) -> Any:
    def check(spread: Spread) -> Spread:
        ends = (spread.low, spread.expected, spread.high)
        outside = any(each < least or (most is not None and each >= most) for each in ends)
        if outside or (whole and any(each.denominator != 1 for each in ends)):
            raise _bad("out of range", f"give {wanted}")
        return spread

    return BeforeValidator(lambda value: check(_spread(value)))


ONE = Fraction(1)
Count = Annotated[Spread, _within(ONE, None, "whole numbers of at least 1", whole=True)]
Frequency = Annotated[Spread, _within(Fraction(0), None, "0 or more runs a month")]
Growth = Annotated[Spread, _within(-ONE, None, "a share a month of at least -100 %")]
Rejected = Annotated[Spread, _within(Fraction(0), ONE, "a share from 0 to below 100 %")]


def _month(value: Any) -> date:
    match = _MONTH.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        if type(value) is date and value.day == 1:
            return value
        raise _bad(f"{str(value)!r} is no month", "give YYYY-MM, such as 2026-12")
    return date(int(match[1]), int(match[2]), 1)


def _money(value: Any) -> Usd:
    if isinstance(value, int | Decimal) and not isinstance(value, bool) and value > 0:
        return Usd(Decimal(value))
    raise _bad(f"not an amount: {value!r}", "give US dollars above zero, such as 400 or 0.85")


def _text(value: Any) -> str:
    """A word or a sentence; a number that somebody left without quotes is one as well."""
    if isinstance(value, bool | dict | list) or value is None:
        raise _bad(f"not a text: {value!r}", "give a text, in quotes if it has another meaning")
    return str(value)


Month = Annotated[date, BeforeValidator(_month)]
Money = Annotated[Decimal, BeforeValidator(_money)]
Share = Annotated[Spread, BeforeValidator(lambda value: Spread.exact(_number(value)))]
Text = Annotated[str, BeforeValidator(_text), Field(min_length=1)]


# --- the file ---------------------------------------------------------------------------


class Shape(BaseModel):
    """What every part of the file has in common."""

    model_config = ConfigDict(  # type: ignore[pydantic-alias]  # one spelling
        frozen=True,
        extra="forbid",
        arbitrary_types_allowed=True,
        # Keys are the flags without their dashes, as in a job file; all are made the same way.
        alias_generator=lambda name: name.rstrip("_").replace("_", "-"),
    )


class Alternatives(Shape):
    """Models and lanes to show beside the budgeted one."""

    models: tuple[Text, ...] = ()
    lanes: tuple[Text, ...] = ()


class JobEntry(Shape):
    """One job: rows from a workload, or figures; what runs it, how often, how it grows."""

    name: Text
    tags: dict[str, Text] = {}
    plan: Text | None = None
    workload: Text | None = None
    input_format: Text | None = None
    prompt: Text | None = None
    prompt_file: Text | None = None
    system: Text | None = None
    system_file: Text | None = None
    skip_bad_rows: bool = False
    output_sample: Text | None = None
    rows: Count | None = None
    input_tokens: Count | None = None
    output_tokens: Count | None = None
    max_output_tokens: Annotated[int, Field(ge=1)] | None = None
    model: Text | None = None
    lane: Text | None = None
    region: Text | None = None
    compare: Alternatives = Alternatives()
    runs_per_month: Frequency = Spread.exact(1)
    growth: Growth = Spread.exact(0)
    rejected: Rejected = Spread.exact(0)
    retries: Annotated[int, Field(ge=0, le=10)] = 2
    from_: Month | None = None
    until: Month | None = None
    deadline: Text | None = None
    confidence: Text | None = None
    tier: Text | None = None
    limits: dict[str, int] = {}
    seed: Annotated[int, Field(ge=0)] = 0

    @model_validator(mode="after")
    def _one_source(self) -> JobEntry:
        """Rows are counted, given or planned: one of these."""
        if self.plan is not None:
            return self._planned()
        for name in ("model", "lane"):
            if getattr(self, name) is None:
                raise _bad(f"no {name}", "a job has a model and a lane, or a plan that says both")
        if self.workload is None and (self.rows is None or self.input_tokens is None):
            raise _bad("nothing to estimate", "give a workload, or rows and input-tokens")
        if self.workload is not None and self.input_tokens is not None:
            raise _bad("workload and input-tokens exclude each other", "the workload is counted")
        pairs = (
            ("prompt", "prompt_file"),
            ("system", "system_file"),
            ("output_tokens", "output_sample"),
        )
        for one, other in pairs:
            if getattr(self, one) is not None and getattr(self, other) is not None:
                names = f"{one} and {other}".replace("_", "-")
                raise _bad(f"{names} exclude each other", "give one")
        if self.from_ and self.until and self.until < self.from_:
            raise _bad("until is before from", "both are months in which the job runs")
        return self

    def _planned(self) -> JobEntry:
        """A plan says everything but how often it is run."""
        more = [
            name.replace("_", "-") for name in PLANNED if getattr(self, name) not in (None, False)
        ]
        if more:
            raise _bad(f"plan decides that itself: {', '.join(more)}", "give one or the other")
        return self


PLANNED = (
    "workload input_format prompt prompt_file system system_file skip_bad_rows output_sample "
    "input_tokens output_tokens max_output_tokens model lane region"
).split()
"""Keys that do not go with a plan."""


class CreditEntry(Shape):
    """Money that is already there."""

    name: Text
    amount: Money
    from_: Month | None = None
    until: Month | None = None


class ActualEntry(Shape):
    """What a month has really cost, up to and including a day."""

    month: Month
    amount: Money
    through: date | None = None

    @model_validator(mode="after")
    def _inside(self) -> ActualEntry:
        day = self.through
        if day is not None and (day.year, day.month) != (self.month.year, self.month.month):
            raise _bad("through is not a day of that month", "give a day such as 2026-12-20")
        return self


class GuardrailEntry(Shape):
    """What must hold for `--check` to pass."""

    monthly: Money | None = None
    total: Money | None = None
    per_1000_rows: Money | None = None
    increase: Share | None = None
    on: Literal["expected", "high"] = "expected"


class BudgetFile(Shape):
    """The whole file."""

    budget: Literal[1]
    title: Text = "Budget"
    from_: Month | None = None
    months: Annotated[int, Field(ge=1, le=MOST_MONTHS)] = 12
    pricing: tuple[Text, ...] = ()
    baseline: Text | None = None
    jobs: tuple[JobEntry, ...]
    credits: tuple[CreditEntry, ...] = ()
    actuals: tuple[ActualEntry, ...] = ()
    actuals_from: Literal["file", "ledger"] = "file"
    guardrails: GuardrailEntry = GuardrailEntry()

    @model_validator(mode="before")
    @classmethod
    def _from_the_ledger(cls, data: Any) -> Any:
        """`actuals: ledger`: what the jobs that carry the budget's tags were billed."""
        if isinstance(data, dict) and data.get("actuals") == "ledger":
            return {**data, "actuals": [], "actuals-from": "ledger"}
        return data

    @model_validator(mode="after")
    def _tagged(self) -> BudgetFile:
        """Without a tag no job of the ledger is known to belong here."""
        if self.actuals_from == "ledger" and not any(each.tags for each in self.jobs):
            raise _bad(
                "actuals: ledger finds jobs by their tags, and no job here has any",
                "give jobs tags: {project: NAME}, and plan them with --tag project=NAME",
            )
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """A budget file with the places of its values; its paths are relative to its own folder."""

    path: Path
    file: BudgetFile
    document: strict_yaml.Document

    def beside(self, name: str) -> Path:
        """A path in the file, from the file's folder."""
        return self.path.parent / name

    def where(self, *steps: str | int) -> str:
        """file:line:column of a value."""
        return self.document.where(steps)


def read(path: Path) -> Read:
    """The file, checked; InputError with every problem, each at its line."""
    document = strict_yaml.read(path)
    if not isinstance(document.data, dict):
        raise InputError.of(
            "budget-file",
            f"{path} is not a budget",
            hint="a budget is a mapping with `budget: 1` and `jobs:`; docs/budget.md shows one",
        )
    file = strict_yaml.validate(document, BudgetFile)
    problems = Collector()
    if not file.jobs:
        problems.add("no-job", "there is no job in it", where=document.where(("jobs",)))
    seen: set[str] = set()
    for place, job in enumerate(file.jobs):
        if job.name in seen:
            where = document.where(("jobs", place, "name"))
            problems.add("duplicate-name", f"a second job {job.name!r}", where=where)
        seen.add(job.name)
    problems.raise_if_any()
    return Read(path=path, file=file, document=document)


# --- an earlier answer ------------------------------------------------------------------


class _Earlier(BaseModel):
    """The parts of an earlier answer that a comparison needs; others may be added to it."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class _EarlierMeter(_Earlier):
    quantity: int
    amount: str


class _EarlierMonth(_Earlier):
    month: Month
    rows: int
    billed_rows: int
    meters: dict[str, _EarlierMeter]


class _EarlierJob(_Earlier):
    name: str
    model: str
    lane: str
    months: tuple[_EarlierMonth, ...]


class _EarlierBudget(_Earlier):
    format: Literal["planner.budget/1"] = Field(alias="schema")
    jobs: tuple[_EarlierJob, ...]


def baseline(path: Path) -> Snapshot:
    """An earlier `--format json` of this command; InputError where the file is none."""
    try:
        known = _EarlierBudget.model_validate(json.loads(path.read_text(encoding="utf-8")))
        return {each.name: _snapshot(each) for each in known.jobs}
    except OSError as error:
        raise InputError.of(
            "unreadable", f"cannot read the baseline: {error.strerror}", where=str(path)
        ) from None
    except (ValidationError, ValueError):
        raise InputError.of(
            "baseline",
            f"the baseline is no {SCHEMA}",
            where=str(path),
            hint="write one with: planner budget FILE --format json -o BASELINE",
        ) from None


def _snapshot(job: _EarlierJob) -> JobSnapshot:
    return JobSnapshot(
        model=job.model,
        lane=job.lane,
        months={
            each.month: MonthSnapshot(
                rows=each.rows,
                billed=each.billed_rows,
                meters={
                    name: Metered(quantity=meter.quantity, amount=_exact(meter.amount))
                    for name, meter in each.meters.items()
                },
            )
            for each in job.months
        },
    )


def _exact(text: str) -> Usd:
    value = usd(text)
    if value is None:
        raise ValueError(text)
    return value
