"""The decision as a file: readable, pinned to what it rests on, named by its own content.

A plan holds everything that building and sending need and everything that would make it
stale, so that neither asks the catalog for another opinion: a price that has moved since
stops the hand-off and is named, it is never taken over silently. Pickling the estimate would
be shorter, and nobody could read, review or diff it.

The id is the digest of the content without the id itself, the workload's path and the names of
the templates' files, which are places and not content: a plan that travels keeps its name.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from planner import strict_yaml
from planner.catalog import prices, support
from planner.errors import Collector, InputError, Problem, UnknownFactError
from planner.money import plain
from planner.workload import sources

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from planner.catalog import Catalog
    from planner.catalog.prices import RateCard

SCHEMA: Literal["planner.plan/1"] = "planner.plan/1"

MAX_AGE = timedelta(days=7)
"""After this a plan is made anew: limits, queues and one's own history are not dated facts."""

HEADER = """\
# A plan of planner: what will be sent, at which prices, until when. Its id is the digest of
# what stands here, so an edited plan is refused: make another one instead.
"""


def _moment(value: str) -> str:
    if datetime.fromisoformat(value).tzinfo is None:
        message = "a time needs its zone"
        raise ValueError(message)
    return value


def _decimal(value: object) -> object:
    """Whole amounts come from YAML as int; a binary float would not be what was written."""
    return Decimal(value) if isinstance(value, int) and not isinstance(value, bool) else value


Moment = Annotated[str, AfterValidator(_moment)]
Money = Annotated[Decimal, BeforeValidator(_decimal)]
Seconds = Annotated[Decimal, BeforeValidator(_decimal)]
Share = Annotated[Decimal, BeforeValidator(_decimal)]
Digest = Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]


class Part(BaseModel):
    """Nothing unknown, nothing changed afterwards."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class Interval(Part):
    """A count with its 95 % interval."""

    value: int
    low: int
    high: int


class Workload(Part):
    """The file that will be sent: where it was, and what it was."""

    path: str
    """Relative to the plan's own folder."""
    format: str
    bytes: int
    digest: Digest
    rows: Interval
    skip_bad_rows: bool
    key: str | None
    """The column that names a row to the user; None: its number does."""


class Template(Part):
    """A prompt, with the name it was given by."""

    name: str
    digest: Digest
    text: str


class Request(Part):
    """What every request has in common."""

    model: str
    endpoint: str | None
    max_output_tokens: int
    prompt: Template | None
    """None: the rows are requests already."""
    system: Template | None
    json_schema: dict[str, Any] | None
    params: dict[str, Any]


class Choice(Part):
    """The option that is taken, and what it gives up against the recommended one."""

    option: str
    provider: str
    model: str
    lane: str
    delivery: str
    strategy: Literal["single", "rescue", "split"]
    cache: bool
    verdict: str
    grade: str
    recommended: str | None
    why: str
    gives_up: tuple[str, ...]
    needs: str | None
    risks: tuple[str, ...]


class Tokens(Part):
    """What was counted, and how."""

    counter: str
    grade: str
    method: str
    input: Interval
    largest_row: int
    output: Interval
    output_basis: str
    shared_prefix: int
    bytes_per_row: int | None


class Component(Part):
    """quantity x rate = amount; `over` is the context edge whose tier sets the rate."""

    lane: str
    meter: str
    over: int | None
    quantity: int
    rate: Money
    amount: Money


class Cost(Part):
    """US dollars of the whole job."""

    expected: Money
    low: Money
    high: Money
    p95: Money
    ceiling: Money
    components: tuple[Component, ...]


class Evidence(Part):
    """Where a rate was read, and when."""

    url: str
    read: str


class Tier(Part):
    """Rates of a whole request whose prompt passes `over` (or reaches it, if `inclusive`)."""

    over: int
    inclusive: bool
    rates: dict[str, Money]


class Rates(Part):
    """US dollars per million of each meter in one lane, with their sources."""

    lane: str
    region: str | None
    rates: dict[str, Money]
    tiers: tuple[Tier, ...]
    sources: tuple[Evidence, ...]


class Probability(Part):
    """P(every row by the deadline): mean, and 10 % and 90 % credible limits."""

    mean: Share
    low: Share
    high: Share


class Finish(Part):
    """Seconds from the start; what is not known is null."""

    p50: Seconds | None
    p95: Seconds | None
    bound: Seconds | None
    batches: int | None
    waves: int | None
    rescue_at: Moment | None
    p_deadline: Probability | None


class Latency(Part):
    """Seconds of one request: mean, and standard deviation over mean."""

    mean: Seconds
    cv: Share


class Demand(Part):
    """What is asked of the job: when it is due, what it may cost, under which limits."""

    deadline: Moment | None
    confidence: Share
    respond_within: Seconds | None
    max_cost: Money | None
    region: str | None
    tier: str | None
    limits: dict[str, int]
    latency: Latency | None
    concurrency: int | None
    failure_rate: Share
    retries: int
    degraded: bool
    seed: int


class Facts(Part):
    """The catalog that the figures come from."""

    digest: str
    as_of: date
    oldest_source: date | None


class Accepted(Part):
    """What the user said yes to, though planner would have stopped."""

    assumed_output: bool
    stale: tuple[str, ...]


class Stale(Part):
    """What would make the plan stale, besides a byte of the workload."""

    after: Moment
    price_changes: date | None
    retires: date | None


class Plan(Part):
    """One job, decided."""

    schema_: Literal["planner.plan/1"] = Field(default=SCHEMA, alias="schema")
    id: Digest
    created: Moment
    workload: Workload
    request: Request
    choice: Choice
    demand: Demand
    cost: Cost
    finish: Finish
    tokens: Tokens
    rates: tuple[Rates, ...]
    catalog: Facts
    accepted: Accepted
    stale: Stale
    assumptions: tuple[str, ...]
    warnings: tuple[str, ...]
    tags: dict[str, str] = {}
    """Whom it is charged to: cost centre, project, whatever a bill is split by."""

    @property
    def nonce(self) -> str:
        """What the ids of this job's rows begin with."""
        return self.id.removeprefix("sha256:")[:12]

    @property
    def deadline(self) -> datetime | None:
        """When it is due."""
        due = self.demand.deadline
        return None if due is None else datetime.fromisoformat(due)


def digest(text: str) -> str:
    """`sha256:` and the hex digest of a text."""
    return f"sha256:{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()}"


def content(plan: Plan) -> dict[str, Any]:
    """The plan as plain values, in the order in which it is written; no tags, no mention."""
    values = plan.model_dump(by_alias=True)
    return values if plan.tags else {key: each for key, each in values.items() if key != "tags"}


def identity(values: Mapping[str, Any]) -> str:
    """The id of a plan's content: what its files are called, and where they were, is none."""
    pinned = {key: each for key, each in values.items() if key != "id"}
    pinned["workload"] = _without(values["workload"], "path")
    templates = {key: _without(values["request"][key], "name") for key in ("prompt", "system")}
    pinned["request"] = {**values["request"], **templates}
    return digest(json.dumps(_canonical(pinned), sort_keys=True, separators=(",", ":")))


def _without(values: Mapping[str, Any] | None, left_out: str) -> dict[str, Any] | None:
    if values is None:
        return None
    return {key: each for key, each in values.items() if key != left_out}


def _canonical(value: Any) -> Any:
    """Numbers by their value (1.50 is 1.5), days as text, tuples as lists."""
    if isinstance(value, dict):
        return {key: _canonical(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_canonical(each) for each in value]
    if isinstance(value, Decimal) or (isinstance(value, int) and not isinstance(value, bool)):
        return {"number": plain(Decimal(value))}
    return value.isoformat() if isinstance(value, date) else value


def sealed(values: Mapping[str, Any]) -> Plan:
    """The plan of such content, with its id."""
    unnamed = Plan.model_validate({**values, "schema": SCHEMA, "id": digest("")})
    return unnamed.model_copy(update={"id": identity(content(unnamed))})


def same_job(one: Plan, other: Plan) -> bool:
    """Whether two plans differ in nothing but the moment at which they were made."""
    return identity(_timeless(one)) == identity(_timeless(other))


def _timeless(plan: Plan) -> dict[str, Any]:
    """The content without what follows from when it was made alone."""
    values = content(plan)
    for key in ("created", "finish", "stale", "assumptions", "warnings"):
        values[key] = None
    values["choice"] = {**values["choice"], "why": None, "gives_up": None, "risks": None}
    values["catalog"] = None
    return values


# --- the file ---------------------------------------------------------------------------

_PLAIN = re.compile(r"[A-Za-z_/][A-Za-z0-9_./:@+-]*(?: [A-Za-z0-9_./@+(),;=%-]+)*")
_AMBIGUOUS = frozenset({"yes", "no", "on", "off", "true", "false", "null", "inf", "nan", "y", "n"})


def text(plan: Plan) -> str:
    """The plan as YAML."""
    import yaml

    class Dumper(yaml.SafeDumper):
        """Quotes whatever could be read two ways; long texts stand as blocks."""

        def ignore_aliases(self, _data: object) -> bool:
            return True

    Dumper.add_representer(str, _written)
    Dumper.add_representer(Decimal, _number)
    Dumper.add_representer(tuple, Dumper.represent_list)
    body = yaml.dump(
        content(plan), Dumper=Dumper, sort_keys=False, allow_unicode=True, width=100_000
    )
    return HEADER + body


def raw(plan: Plan) -> bytes:
    """The bytes of a plan file; InputError where they would not be read back as the plan."""
    try:
        made = text(plan).encode()
        back = strict_yaml.validate(strict_yaml.load(made, "the plan"), Plan)
    except (InputError, UnicodeEncodeError) as error:
        raise InputError.of("cannot-write", f"the plan cannot be written: {error}") from None
    assert identity(content(back)) == plan.id, "a plan that is written is read back"
    return made


def _written(dumper: Any, value: str) -> Any:
    style = '"'
    if _PLAIN.fullmatch(value) and value.lower() not in _AMBIGUOUS and not value.endswith(":"):
        style = ""
    elif "\n" in value and _blockable(value):
        style = "|"
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style or None)


def _blockable(value: str) -> bool:
    """Whether every line of a text is printable as it stands."""
    lines = value.split("\n")
    return bool(lines[0].strip()) and all(
        line.isprintable() and not line.endswith(" ") for line in lines
    )


def _number(dumper: Any, value: Decimal) -> Any:
    shown = plain(value)
    kind = "float" if "." in shown else "int"
    return dumper.represent_scalar(f"tag:yaml.org,2002:{kind}", shown)


def read(path: Path) -> Plan:
    """The plan in a file; InputError where it is none, or was changed after it was made."""
    ours = is_plan(path)
    try:
        document = strict_yaml.read(path)
        data = document.data
        if not isinstance(data, dict) or data.get("schema") != SCHEMA:
            raise _no_plan(path)
        plan = strict_yaml.validate(document, Plan)
    except InputError as error:
        if ours:
            raise _edited(path, error.problems[0].message) from None
        raise (_no_plan(path) if path.is_file() else error) from None
    found = identity(content(plan))
    if found != plan.id:
        raise _edited(path, f"its content is {found[:19]}, not {plan.id[:19]}")
    return plan


def _no_plan(path: Path) -> InputError:
    return InputError.of(
        "not-a-plan",
        f"{path} is not a plan ({SCHEMA})",
        where=str(path),
        hint=f"make one: planner plan {path} ... -o JOB.plan.yaml; then submit that",
    )


def _edited(path: Path, how: str) -> InputError:
    """A plan is named by its content, so what stands there now is nobody's decision."""
    return InputError.of(
        "plan-edited",
        f"{path} was changed after it was made: {how}",
        where=str(path),
        hint="take the file as planner plan wrote it, or make another plan; a plan is not edited",
    )


def is_plan(path: Path) -> bool:
    """Whether a file says of itself that it is a plan; no more is looked at."""
    try:
        with path.open(encoding="utf-8") as stream:
            head = stream.read(len(HEADER) + 200)
    except (OSError, UnicodeDecodeError):
        return False
    return re.search(rf"^schema: {SCHEMA}$", head, re.MULTILINE) is not None


def write(plan: Plan, path: Path, *, force: bool = False) -> Plan:
    """Write the plan whole or not at all; the plan that then stands there.

    A plan of the same job that is there already stays as it is. InputError where another plan
    stands there and `force` is not given, and where something that is no plan does.
    """
    if path.exists():
        if not is_plan(path):
            raise InputError.of("file-exists", f"{path} is there, and is not a plan")
        if not force:
            return _kept(plan, path)
    durably(path, raw(plan))
    return plan


def _kept(plan: Plan, path: Path) -> Plan:
    there = read(path)
    if same_job(there, plan):
        return there
    raise InputError.of(
        "plan-exists",
        f"{path} holds another plan ({there.id[:19]})",
        hint="--force replaces it; planner plan-diff shows what moved between two plans",
    )


def durably(path: Path, raw: bytes) -> None:
    """Write a file whole: nobody else may read it, and no crash leaves half of it."""
    part = path.with_name(f"{path.name}.part")
    try:
        with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as stream:  # noqa: PTH123 -- pathlib opens no descriptor
            stream.write(raw)
            stream.flush()
            os.fsync(stream.fileno())
        part.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        raise InputError.of("cannot-write", f"{path}: {error.strerror}") from None


def sync_folder(folder: Path) -> None:
    """Make a rename in a folder last."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def relative(workload: Path, folder: Path) -> str:
    """A workload's path as a plan in that folder names it."""
    return Path(os.path.relpath(workload.resolve(), folder.resolve())).as_posix()


def workload_path(plan: Plan, folder: Path) -> Path:
    """Where the workload of a plan in that folder is; the folder need not be there yet."""
    return Path(os.path.normpath(folder.resolve() / plan.workload.path))


def placed(plan: Plan, workload: Path, folder: Path) -> Plan:
    """The same plan for a file in another folder."""
    pinned = plan.workload.model_copy(update={"path": relative(workload, folder)})
    return plan.model_copy(update={"workload": pinned})


# --- staleness --------------------------------------------------------------------------


def rates_of(card: RateCard) -> Rates:
    """A rate card as a plan pins it."""
    return Rates(
        lane=card.lane,
        region=card.region,
        rates={meter: Decimal(rate) for meter, rate in card.rates.items()},
        tiers=tuple(
            Tier(
                over=tier.edge,
                inclusive=tier.inclusive,
                rates={meter: Decimal(rate) for meter, rate in tier.rates.items()},
            )
            for tier in card.tiers
        ),
        sources=tuple(Evidence(url=each.url, read=each.read_as) for each in card.sources),
    )


def check_fresh(
    plan: Plan, catalog: Catalog, now: datetime, *, workload: Path | None = None
) -> tuple[Problem, ...]:
    """What has moved since the plan was made, each named; empty while the plan holds.

    Reads the workload's bytes where a path is given.
    """
    found = Collector()
    if workload is not None:
        _same_bytes(plan, workload, found)
    _same_facts(plan, catalog, now.date(), found)
    if now > datetime.fromisoformat(plan.stale.after):
        days = (now - datetime.fromisoformat(plan.created)).days
        found.add("plan-too-old", f"the plan was made {days} days ago, on {plan.created[:10]}")
    if plan.deadline is not None and now >= plan.deadline:
        found.add("deadline-passed", f"the deadline was {plan.demand.deadline}")
    return tuple(found.problems)


def _same_bytes(plan: Plan, workload: Path, found: Collector) -> None:
    pinned = plan.workload
    if not workload.exists():
        found.add("workload-gone", "the workload is not there", where=str(workload))
        return
    seen = sources.digest(workload)
    if seen != pinned.digest:
        found.add(
            "workload-moved",
            f"the workload has changed: its bytes are {seen[:19]}, not {pinned.digest[:19]}",
            where=str(workload),
        )


def unmoved(plan: Plan, workload: Path) -> None:
    """InputError where the workload is not what the plan was made of."""
    found = Collector()
    _same_bytes(plan, workload, found)
    found.raise_if_any()


def _same_facts(plan: Plan, catalog: Catalog, on: date, found: Collector) -> None:
    provider, model_id = plan.choice.provider, plan.request.model
    try:
        model = catalog.model(f"{provider}/{model_id}")
        for pinned in plan.rates:
            offered = support.lane(catalog, model, pinned.lane, on=on)
            if offered.state != "yes":
                found.add("not-offered", offered.why)
                continue
            card = prices.card(catalog, model, pinned.lane, on=on, region=pinned.region)
            for said in _moved(pinned, rates_of(card)):
                found.add("price-moved", f"{model_id} in {pinned.lane}: {said}")
    except UnknownFactError as gone:
        found.problems.extend(gone.problems)


def _moved(before: Rates, after: Rates) -> Iterator[str]:
    yield from _rates_moved(before.rates, after.rates, "")
    edges = {tier.over: tier for tier in after.tiers}
    for tier in before.tiers:
        there = edges.pop(tier.over, None)
        if there is None:
            yield f"prompts over {tier.over:,} are no longer priced apart"
        else:
            yield from _rates_moved(tier.rates, there.rates, f" over {tier.over:,}")
    yield from (f"prompts over {edge:,} are now priced apart" for edge in edges)


def _rates_moved(
    before: Mapping[str, Decimal], after: Mapping[str, Decimal], place: str
) -> Iterator[str]:
    for meter in dict.fromkeys((*before, *after)):
        one, other = before.get(meter), after.get(meter)
        if one != other:
            yield f"{meter}{place} {_shown(one)} -> {_shown(other)} USD per million"


def _shown(rate: Decimal | None) -> str:
    return "unpublished" if rate is None else plain(rate)
