"""How jobs stand, from the ledger alone: for whoever lists, watches, imports or clears them.

Nothing is asked of a vendor and no lock is held, so looking never disturbs the process that runs
a job. Reading the merged results for each line of the list was rejected: counts are in the
ledger already, and a list of a hundred jobs must not read a million rows.
"""

from __future__ import annotations

import contextlib
import json
import shutil
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Any, Final

from planner.decision.turnaround import FinishedJob
from planner.errors import InputError
from planner.handoff import build as builds
from planner.handoff import home, journal, reasons, states
from planner.handoff import plan as plans
from planner.handoff.ledger import Ledger
from planner.words import batches, counted

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import date, datetime
    from pathlib import Path

    from planner.catalog import Catalog
    from planner.decision import budget
    from planner.decision.turnaround import State as Ending
    from planner.handoff.ledger import Attempt, Job, Note, Spent
    from planner.handoff.plan import Plan
    from planner.handoff.vendor import Batch, BatchVendor


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """Rows of a job by where they are; vendors keep most counts back until a batch ends."""

    total: int
    answered: int = 0
    failed: int = 0
    """Over without an answer: errored, expired, cancelled, refused, lost, given up."""
    out: int = 0
    """At the vendor, not known to be answered."""
    in_doubt: int = 0
    """A paid batch of them may exist, and nobody knows."""

    @property
    def unsent(self) -> int:
        """Not sent yet."""
        return max(self.total - self.answered - self.failed - self.out - self.in_doubt, 0)

    @property
    def over(self) -> int:
        """Nothing more will happen to them in this job."""
        return self.answered + self.failed


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """One job at a glance."""

    job: Job
    rows: Rows
    attempts: tuple[Attempt, ...]
    spent: Spent
    running: bool
    """A process has it in its hands."""
    plan: Plan | None
    """None: the job was purged."""

    @property
    def harvest_by(self) -> datetime | None:
        """Until when results that are not here yet can be fetched."""
        waiting = [each for each in self.attempts if each.state in states.REMOTE]
        return min((each.harvest_by for each in waiting if each.harvest_by), default=None)


def home_ledger(data: Path) -> Ledger:
    """The ledger of a data home; InputError where nothing was ever handed off from it."""
    ledger = Ledger.read_only(data)
    if ledger is None:
        raise InputError.of("no-jobs", "nothing has been handed off yet", where=str(data))
    return ledger


def standings(ledger: Ledger) -> tuple[Standing, ...]:
    """Every job, the oldest first."""
    spent = {each.job: each for each in ledger.spent()}
    return tuple(_standing(ledger, job, spent.get(job.id)) for job in ledger.jobs())


def standing(ledger: Ledger, name: str) -> Standing:
    """One job, by the beginning of its id."""
    return _standing(ledger, ledger.job(name), None)


def _standing(ledger: Ledger, job: Job, spent: Spent | None) -> Standing:
    folder = ledger.job_folder(job.id)
    path = folder / builds.PLAN
    attempts = ledger.attempts(job.id)
    return Standing(
        job=job,
        rows=rows(job, attempts, folder),
        attempts=attempts,
        spent=spent or ledger.exposure(job.id),
        running=home.held(ledger.folder / home.JOBS / f"{job.id}.lock"),
        plan=plans.read(path) if path.is_file() else None,
    )


def rows(job: Job, attempts: tuple[Attempt, ...], folder: Path) -> Rows:
    """Rows by where they are: what batches say, and what was sent one by one."""
    answered = failed = out = in_doubt = 0
    for each in attempts:
        known = each.counts.succeeded if each.counts is not None else 0
        if each.state in states.IN_DOUBT:
            in_doubt += each.rows
        elif each.state in states.REMOTE:
            answered += known
            out += each.rows - known
        elif each.state in states.SETTLED:
            answered += known
            failed += each.rows - known
    single = journal.standing(folder).outcomes if (folder / journal.FOLDER).is_dir() else {}
    better = single.get("succeeded", 0)
    left = failed - better if attempts else sum(single.values()) - better
    return Rows(
        total=job.rows,
        answered=answered + better,
        failed=max(left, 0),
        out=out,
        in_doubt=in_doubt,
    )


def recent(ledger: Ledger, job: Job, most: int) -> tuple[Note, ...]:
    """The last things that happened to a job."""
    return ledger.events(job.id)[-most:]


# --- clearing ---------------------------------------------------------------------------


def purge(ledger: Ledger, name: str, now: datetime) -> tuple[Job, int]:
    """Remove a job's prompts and answers, and the words of its vendor, which may quote them.

    (The job, bytes.) The ledger keeps what it cost, what became of its shards, and counts.

    InputError where something of it is still at the vendor or in doubt: it could then no
    longer be brought home.
    """
    job = ledger.job(name)
    with ledger.lock(job.id):
        waiting = [e for e in ledger.attempts(job.id) if e.state in states.REMOTE | states.IN_DOUBT]
        if waiting:
            raise InputError.of(
                "job-out",
                f"not home yet of job {job.id}: {batches(len(waiting))}",
                hint=f"planner resume {job.id}, or planner cancel {job.id}",
            )
        _apart(ledger, job)
        size = _removed(ledger, job)
        if job.state != "done":
            ledger.settle(job.id, "done", now, because=reasons.PURGED)
        ledger.note(job.id, "purged", now, bytes=size)
    return ledger.job(job.id), size


def _removed(ledger: Ledger, job: Job) -> int:
    """Bytes of what is gone now: its folder, what a kill left beside it, its plan as a pilot."""
    folder, size = ledger.job_folder(job.id), 0
    for each in (folder, *(folder.with_name(f"{folder.name}.{end}") for end in ("part", "old"))):
        if each.is_dir():
            size += sum(path.stat().st_size for path in each.rglob("*") if path.is_file())
            shutil.rmtree(each)
    for path in (ledger.folder / home.PILOTS).glob("*.plan.yaml"):
        with contextlib.suppress(InputError):
            if plans.read(path).nonce == job.id:
                size += path.stat().st_size
                path.unlink()
    return size


def _apart(ledger: Ledger, job: Job) -> None:
    """InputError where another job's answers stand here: they would be offered, and paid, again."""
    if job.parent is not None and (ledger.job_folder(job.parent) / builds.PLAN).is_file():
        raise InputError.of(
            "job-followed",
            f"job {job.id} holds answers of job {job.parent}, which it followed up",
            hint=f"planner jobs purge {job.parent} first",
        )


# --- history that others made -----------------------------------------------------------

_MODEL: Final = "model"
_PEEK: Final = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """What a vendor's own list of batches gave."""

    new: int
    known: int
    unnamed: int
    """Left out, since nothing says of which model they are."""


def take_over(
    ledger: Ledger,
    vendor: BatchVendor,
    catalog: Catalog,
    *,
    most: int,
    model: str | None = None,
) -> Imported:
    """Remember the newest batches of an account that planner did not send.

    A list says no model, so each batch's first result is looked at unless `model` says it.
    The vendor's errors pass through.
    """
    provider = vendor.account.provider
    lane = next(
        each.id for each in catalog.provider(provider).lanes.values() if each.per_batch is not None
    )
    ours = ledger.batches(provider)
    new = known = unnamed = 0
    for count, batch in enumerate(vendor.listed()):
        if count >= most:
            break
        if batch.id in ours:
            known += 1
            continue
        named = model or _model_of(vendor, batch, catalog)
        if named is None or batch.counts is None:
            unnamed += 1
        elif ledger.remember(batch.id, _history(provider, named, lane, batch)):
            new += 1
        else:
            known += 1
    return Imported(new=new, known=known, unnamed=unnamed)


def _history(provider: str, model: str, lane: str, batch: Batch) -> FinishedJob:
    assert batch.counts is not None
    return FinishedJob(
        provider=provider,
        model=model,
        lane=lane,
        rows=batch.counts.total,
        created=batch.created,
        ended=batch.ended,
        state=_ending(batch),
    )


def _ending(batch: Batch) -> Ending:
    if batch.phase == "failed":
        return "failed"
    if batch.phase != "ended" or batch.ended is None:
        return "running"
    counts = batch.counts
    if counts is not None and counts.canceled:
        return "canceled"
    return "expired" if counts is not None and counts.expired else "ended"


class _EnoughError(Exception):
    """The first line is here."""


class _FirstLine(BytesIO):
    """Takes a download up to the end of its first line."""

    def write(self, data: Any, /) -> int:
        """Keep it; stop the download as soon as a line is whole."""
        size = super().write(data)
        if b"\n" in data or self.tell() > _PEEK:
            raise _EnoughError
        return size


def _model_of(vendor: BatchVendor, batch: Batch, catalog: Catalog) -> str | None:
    """The model that a batch's first answer names, by the catalog's name for it."""
    into = _FirstLine()
    for name in batch.results[:1]:
        with contextlib.suppress(Exception):  # whatever ends it, the first line counts
            vendor.download(batch, name, into)
    try:
        found = _find(json.loads(into.getvalue().partition(b"\n")[0]))
    except ValueError:
        return None
    if found is None:
        return None
    try:
        return catalog.model(f"{vendor.account.provider}/{found}").id
    except Exception:  # noqa: BLE001 -- a model of another time keeps its own name
        return found


def _find(value: Any) -> str | None:
    """The first `model` anywhere in a result."""
    if not isinstance(value, dict):
        return None
    if isinstance(value.get(_MODEL), str):
        return str(value[_MODEL])
    return next((found for each in value.values() if (found := _find(each))), None)


# --- what the past says of estimates and budgets ----------------------------------------


NOTHING_SPENT: Final = ("Nothing is known of what was spent", ())
"""What is said where there is no ledger."""


def billed(
    data: Path, tags: Iterable[Mapping[str, str]], months: Iterable[date], on: date
) -> tuple[str, tuple[budget.Spent, ...]] | None:
    """What jobs that carry one of these sets of tags were billed, month by month.

    (A sentence that says of how many, the months); None where there is no ledger, and so nothing
    is known.
    """
    from planner import closing  # most of the hand-off: only a budget asks for it

    ledger = Ledger.read_only(data)
    if ledger is None:
        return None
    with ledger:
        found = closing.so_far(ledger, tags, months, on)
    least = f", {found.unpriced} of them at least" if found.unpriced else ""
    said = f"As the ledger has it, of {counted(found.jobs, 'job')} with these tags{least}"
    return said, found.spent


def history(data: Path) -> tuple[FinishedJob, ...]:
    """The ledger's own finished batches; none where there is no ledger."""
    ledger = Ledger.read_only(data)
    if ledger is None:
        return ()
    with ledger:
        return ledger.finished()
