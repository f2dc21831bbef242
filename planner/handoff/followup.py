"""The rows that have no answer, as a job of their own; and their answers, back where they belong.

A follow-up is an ordinary workload (the very requests that were sent, with the user's keys) and
an ordinary plan, so that it is priced, capped, agreed to and sent like any other. Sending rows
again within the job was rejected: what one yes has paid for would then have no end.

What failed for now is offered again; what would fail again as it is, or may be an answer that
nobody can read yet, is listed and left out unless it is asked for.
"""

from __future__ import annotations

import hashlib
import heapq
import json
from array import array
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from math import ceil
from typing import TYPE_CHECKING, Any, Final

from planner.errors import InputError
from planner.handoff import build as builds
from planner.handoff import plan as plans
from planner.handoff import results, spending
from planner.money import ZERO, Rate, Usd, amount, difference, scaled, total
from planner.words import iso

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from datetime import datetime
    from pathlib import Path

    from planner.handoff.build import Shard
    from planner.handoff.ledger import Job, Ledger
    from planner.handoff.plan import Plan
    from planner.handoff.results import Group, Outcome, Row, Tally
    from planner.handoff.vendor import RowResult

    Parse = Callable[[bytes], RowResult]

FOLDER: Final = "followup"
FORMAT: Final = "batch"
"""Its rows are requests already."""
KEY: Final = "key"
_THEN: Final = ">"
"""In an option's id: what comes before it, and the lane that takes over in time for a deadline."""
_ROW: Final = b'{"custom_id":'


# --- a job with all that answered its rows ------------------------------------------------


def shards_of(folder: Path) -> tuple[Shard, ...]:
    """The shards of a job's folder, by its manifest; none where there are no batches."""
    path = folder / builds.MANIFEST
    if not path.is_file():
        return ()
    lines = map(json.loads, path.read_text(encoding="utf-8").splitlines())
    return tuple(builds.Shard(**{k: v for k, v in each.items() if k != "plan"}) for each in lines)


def rows_of(ledger: Ledger, job_id: str, parse: Parse) -> Iterator[Row]:
    """Every row of a job once, in the input's order: its own answers and its follow-ups'."""
    folder = ledger.job_folder(job_id)
    shards = shards_of(folder) if ledger.attempts(job_id) else ()
    own = results.batch_leg(ledger, job_id, folder, shards, parse)
    children = (
        each
        for each in ledger.jobs()
        if each.parent == job_id and (ledger.job_folder(each.id) / builds.PLAN).is_file()
    )
    legs = [_Child(ledger, each, folder, parse) for each in children]
    sent = results.merged(folder, [own, results.direct_leg(folder), *legs])
    yield from heapq.merge(sent, results.reused(folder), key=_number)


def _number(row: Row) -> int:
    return row.row


@dataclass(frozen=True, slots=True)
class _Child:
    """What a follow-up answered, by the rows of the job that it follows."""

    ledger: Ledger
    job: Job
    parent: Path
    parse: Parse

    def __iter__(self) -> Iterator[Row]:
        indexes = self._indexes()
        for row in rows_of(self.ledger, self.job.id, self.parse):
            yield results.moved(row, indexes[row.row - 1])

    def _indexes(self) -> array[int]:
        """Line of the follow-up's workload -> index of the row in the parent."""
        plan = plans.read(self.ledger.job_folder(self.job.id) / builds.PLAN)
        path = self.parent / FOLDER / f"{_name(plan.workload.digest)}.index"
        with path.open(encoding="ascii") as stream:
            return array("Q", map(int, stream))


def write(
    ledger: Ledger,
    job_id: str,
    parse: Parse,
    *,
    form: results.Format = "jsonl",
    checkpoint: Callable[[str], None] = results.no_checkpoint,
) -> Tally:
    """The merged file of a job, as far as there are answers; what became of its rows."""
    path = ledger.job_folder(job_id) / results.OUT / f"results.{form}"
    counted = results.Tally()
    rows = rows_of(ledger, job_id, parse)
    return results.write(rows, path, counted, form=form, checkpoint=checkpoint)


def write_parents(ledger: Ledger, job: Job, parse: Parse) -> Iterator[tuple[str, Tally]]:
    """Bring the merged files of the jobs that this one follows up to date: (id, rows).

    One that another process is running is left to that process, which does it at its end.
    """
    if job.parent is None:
        return
    folder = ledger.job_folder(job.parent) / results.OUT
    with suppress(InputError), ledger.lock(job.parent):
        for form in results.FORMATS:
            if (folder / f"results.{form}").exists():
                yield job.parent, write(ledger, job.parent, parse, form=form)
    yield from write_parents(ledger, ledger.job(job.parent), parse)


# --- what is left -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowUp:
    """A workload of the rows that are offered again, its plan, and what is not in it."""

    rows: int
    workload: Path
    plan_path: Path
    plan: Plan
    offered: dict[Outcome, int]
    left_out: tuple[Group, ...]
    """Rows that would fail again, with why; the commonest first."""
    done: int
    """Rows that have their answer."""
    pending: int


def make(
    ledger: Ledger,
    job: Job,
    plan: Plan,
    parse: Parse,
    now: datetime,
    *,
    permanent: bool = False,
) -> FollowUp | None:
    """The follow-up of a job, in its folder; None where no row is to be offered.

    `permanent` takes those along that would fail again. The same rows left give the same files,
    and a plan that stands there already stays.
    """
    folder = ledger.job_folder(job.id) / FOLDER
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    sorting = _Sorting(permanent)
    part = folder / "rows.part"
    digest, size, rows = _copy(ledger, job, sorting.offered(ledger, job, parse), part)
    if not rows:
        part.unlink()
        return None
    name = _name(digest)
    path, plan_path = folder / f"{name}.jsonl", folder / f"{name}.plan.yaml"
    part.with_suffix(".index").replace(folder / f"{name}.index")
    part.replace(path)
    plans.sync_folder(folder)
    pinned = {"path": path.name, "format": FORMAT, "bytes": size, "digest": digest}
    made = planned(plan, rows, pinned, now, _left_of_cap(ledger, job))
    standing = plans.read(plan_path) if plan_path.exists() else None
    if standing is None:
        plans.write(made, plan_path)
    return FollowUp(
        rows=rows,
        workload=path,
        plan_path=plan_path,
        plan=standing or made,
        offered=dict(sorting.counts),
        left_out=sorting.left.groups,
        done=sorting.left.outcomes["succeeded"],
        pending=sorting.left.outcomes["pending"],
    )


class _Sorting:
    """Tells the rows that are offered again from those that are not."""

    def __init__(self, permanent: bool) -> None:  # noqa: FBT001 -- its only argument
        self._permanent = permanent
        self.counts: Counter[Outcome] = Counter()
        self.left = results.Tally()

    def offered(self, ledger: Ledger, job: Job, parse: Parse) -> Iterator[Row]:
        """The rows to send again, in order; the others are counted."""
        for row in rows_of(ledger, job.id, parse):
            if self._again(row):
                self.counts[row.outcome] += 1
                yield row
            else:
                self.left.add(row)

    def _again(self, row: Row) -> bool:
        if row.outcome in ("succeeded", "pending"):
            return False
        return self._permanent or not (row.permanent or row.outcome == "unknown")


def _name(digest: str) -> str:
    return digest.removeprefix("sha256:")[:12]


def _copy(ledger: Ledger, job: Job, rows: Iterable[Row], part: Path) -> tuple[str, int, int]:
    """Write these rows as they were sent, each with its key; digest, bytes and rows of it."""
    requests = _Requests(ledger.job_folder(job.id))
    hashed, size, count = hashlib.sha256(), 0, 0
    index = results.private(part.with_suffix(".index"))
    with results.private(part) as stream, index:
        for row in rows:
            key = json.dumps(row.key, ensure_ascii=False).encode("utf-8", "surrogatepass")
            line = requests.at(row.index)[:-1] + b',"key":' + key + b"}\n"
            stream.write(line)
            hashed.update(line)
            index.write(b"%d\n" % row.index)
            size, count = size + len(line), count + 1
        results.settle(stream)
        results.settle(index)
    return f"sha256:{hashed.hexdigest()}", size, count


class _Requests:
    """The requests of a job's shards, asked for in order."""

    def __init__(self, folder: Path) -> None:
        self._lines = _lines(folder)
        self._next = -1

    def at(self, index: int) -> bytes:
        """The row as it stands in its shard, as one JSON object."""
        for line in self._lines:
            self._next += 1
            if self._next == index:
                return line
        raise AssertionError(f"no request of row {index}")


def _lines(folder: Path) -> Iterator[bytes]:
    """Rows of all shards; each stands on a line of its own, whatever is around it."""
    for shard in shards_of(folder):
        with (folder / shard.file).open("rb") as stream:
            for line in stream:
                if line.startswith(_ROW):
                    yield line.rstrip(b"\r\n").removesuffix(b",")


# --- its plan -----------------------------------------------------------------------------


def _left_of_cap(ledger: Ledger, job: Job) -> Usd | None:
    """What the job's own cap leaves for the rest of it."""
    if job.cap is None:
        return None
    family = (spending.purse(ledger, ledger.job(each)) for each in _family(ledger, job.id))
    return max(difference(job.cap, total(each.committed for each in family)), ZERO)


def _family(ledger: Ledger, job_id: str) -> Iterator[str]:
    """A job and all that followed it up."""
    yield job_id
    for each in ledger.jobs():
        if each.parent == job_id:
            yield from _family(ledger, each.id)


def planned(
    parent: Plan, rows: int, pinned: dict[str, Any], now: datetime, cap: Usd | None
) -> Plan:
    """The parent's plan for fewer rows: the same lane, rates and parameters.

    Its cost is the parent's in proportion; when it will be done is reckoned when it is sent.
    """
    share = Fraction(rows, parent.workload.rows.value)
    late = parent.deadline is not None and parent.deadline <= now
    values = plans.content(parent)
    counted = {"value": rows, "low": rows, "high": rows}
    values["created"] = iso(now)
    values["workload"] = {**pinned, "rows": counted, "skip_bad_rows": False, "key": KEY}
    values["request"] |= {"prompt": None, "system": None, "json_schema": None, "params": {}}
    values["choice"] |= {
        "why": f"the rows of job {parent.nonce} that have no answer",
        "gives_up": (),
    }
    if late and parent.choice.strategy == "rescue":
        alone = parent.choice.option.partition(_THEN)[0]
        values["choice"] |= {"strategy": "single", "option": alone}
    values["demand"] |= {"max_cost": cap}
    if late:
        values["demand"] |= {"deadline": None}
    values["cost"] = _cost(parent, share)
    values["tokens"] |= {
        "input": _shared(values["tokens"]["input"], share),
        "output": _shared(values["tokens"]["output"], share),
    }
    values["finish"] = dict.fromkeys(values["finish"])
    values["stale"] |= {"after": iso(now + plans.MAX_AGE)}
    values["warnings"] = ("the deadline of the first job has passed",) if late else ()
    return plans.sealed(values)


def _shared(interval: dict[str, int], share: Fraction) -> dict[str, int]:
    return {name: ceil(value * share) for name, value in interval.items()}


def _cost(parent: Plan, share: Fraction) -> dict[str, Any]:
    """The parent's cost for a share of its rows; quantities are rounded up."""
    parts = tuple(_part(each.model_dump(), share) for each in parent.cost.components)
    expected = total(each["amount"] for each in parts)
    low = min(scaled(Usd(parent.cost.low), share), expected)
    ends = [scaled(Usd(getattr(parent.cost, name)), share) for name in ("p95", "high", "ceiling")]
    p95 = max(ends[0], expected)
    high = max(ends[1], p95)
    return {
        "expected": expected,
        "low": low,
        "high": high,
        "p95": p95,
        "ceiling": max(ends[2], high),
        "components": parts,
    }


def _part(part: dict[str, Any], share: Fraction) -> dict[str, Any]:
    quantity = ceil(part["quantity"] * share)
    return {**part, "quantity": quantity, "amount": amount(quantity, Rate(part["rate"]))}
