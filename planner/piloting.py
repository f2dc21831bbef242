"""Running a pilot: drawn rows become a small job of the realtime lane, and that job a lesson.

A pilot is an ordinary hand-off of an ordinary plan, so its cap, policy, lock, journal and resume
are those of every other job, and a kill in the middle of it loses nothing. A loop of its own was
rejected: it would be the one path to a vendor that nothing else tests.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from planner import closing, drafting, pipeline, rehearsing
from planner.errors import InputError
from planner.handoff import home, learned, pilots, results
from planner.handoff import plan as plans
from planner.handoff.ledger import Ledger
from planner.handoff.providers import vendors
from planner.workload import prompt as prompts
from planner.workload import readers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime
    from pathlib import Path

    from planner.catalog import Catalog
    from planner.drafting import Wishes
    from planner.handing import Event, Handoff, Seat, Terms
    from planner.handoff.learned import Known
    from planner.handoff.pilots import Findings
    from planner.handoff.plan import Plan
    from planner.handoff.submit import Step
    from planner.job import Job
    from planner.pipeline import Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """Drawn rows, and the plan that sends them."""

    path: Path
    plan: Plan
    of: int
    """Rows of the whole workload."""
    seed: int
    template: str
    workload: str
    """Digest of the whole workload."""
    numbers: tuple[int, ...]
    """Of the drawn rows, in the whole workload."""

    @property
    def rows(self) -> int:
        """Rows that were drawn."""
        return self.plan.workload.rows.value


@dataclass(frozen=True, slots=True, kw_only=True)
class Piloted:
    """What a pilot came to."""

    prepared: Prepared
    closed: closing.Closed
    findings: Findings
    step: Step
    answers: tuple[tuple[Any, str, str], ...]
    """(row's own name, outcome, text) of the first rows."""
    again: bool = False
    """It had been run before; nothing was sent now."""


def sendable(catalog: Catalog, job: Job) -> str:
    """The vendor of the job's one model, which planner can send to.

    InputError where the job is no workload and one model, UnknownFactError (exit 3) where it hands
    nothing to that vendor: both are known before anybody is asked, or a row is drawn.
    """
    if job.workload is None:
        raise InputError.of("no-workload", "a pilot sends rows of a file", hint="name a file")
    if len(job.models) != 1:
        raise InputError.of("one-model", "a pilot is for one model", hint="name it with --model")
    return vendors.about(catalog.model(job.models[0]).provider).provider


@contextlib.contextmanager
def prepared(
    catalog: Catalog,
    job: Job,
    wishes: Wishes,
    *,
    n: int,
    data: Path,
    now: datetime,
    known: Known | None = None,
) -> Iterator[Prepared]:
    """Draw rows and plan them in the realtime lane; both stand in the data home meanwhile.

    Afterwards the rows are gone, since a job has its own copy of what it sends, and the plan is
    unless it became a job. Errors as of `sendable`; NoPlanError (exit 1) where the lane cannot run.
    """
    sendable(catalog, job)
    assert job.workload is not None
    workload = readers.open_workload(job.workload, format=job.input_format)
    drawn = pilots.draw(workload.rows(skip_bad=job.skip_bad_rows), n, job.seed)
    if not drawn.rows:
        raise InputError.of("no-rows", "there is no row in it", where=str(job.workload))
    folder = home.private_folder(home.private_folder(data) / home.PILOTS)
    path, digest = _written(drawn, folder)
    try:
        plan, asked = _planned(catalog, job, wishes, workload, path, digest, now, known)
        placed = _standing(plan, asked, folder, data)
        try:
            yield _prepared(placed, plan, drawn, workload, job)
        finally:
            _unless_job(placed, data)
    finally:
        path.unlink(missing_ok=True)


def _planned(
    catalog: Catalog,
    job: Job,
    wishes: Wishes,
    workload: readers.Workload,
    path: Path,
    digest: str,
    now: datetime,
    known: Known | None,
) -> tuple[Plan, tuple[object, ...]]:
    """The plan of the drawn rows, and what was asked for, which is what it is known by."""
    whole = workload.digest()
    small = replace(job, workload=path, input_format=None, of_rows=None).at_deadline(None, now)
    # The cap bounds what is spent; what is only assumed so far is no reason not to begin.
    small = replace(small, requirements=replace(small.requirements, max_cost=None))
    measured = pipeline.measure(catalog, small, known=_of_whole(known, whole, digest))
    answer = pipeline.estimate(catalog, measured, small, now=now)
    wishes = replace(
        wishes,
        choose=wishes.choose or _lane(answer),
        accept_assumed=True,
        tags={**wishes.tags, pilots.TAG: f"of {whole[7:19]}"},
    )
    plan = drafting.make(answer, wishes, path.parent)
    template = learned.template_of(plan)
    return plan, (job.models, job.output.limit, plan.choice.option, template, wishes.endpoint)


def _prepared(
    placed: Path, plan: Plan, drawn: pilots.Drawn, workload: readers.Workload, job: Job
) -> Prepared:
    whole = workload.digest()
    return Prepared(
        path=placed,
        plan=plans.read(placed),
        of=drawn.of,
        seed=job.seed,
        template=_template(plan, workload, job, whole),
        workload=whole,
        numbers=tuple(row.number for row in drawn.rows),
    )


def _written(drawn: pilots.Drawn, folder: Path) -> tuple[Path, str]:
    """The file of the rows, named by its own digest."""
    made = folder / "rows.jsonl"
    digest = pilots.write(drawn, made)
    return made.replace(folder / f"{digest[7:19]}.jsonl"), digest


def _of_whole(known: Known | None, whole: str, drawn: str) -> Known | None:
    """What is known of the whole file's rows is known of those that were drawn."""
    if known is None:
        return None
    lessons = tuple(
        replace(each, workload=drawn) if each.workload == whole else each for each in known.lessons
    )
    return replace(known, lessons=lessons)


def _lane(answer: Estimate) -> str:
    """The option that answers at once, in the vendor's ordinary lane."""
    base = {offer.lane.id for case in answer.cases for offer in case.offers if offer.lane.base}
    for option in answer.decision.options:
        if option.strategy == "single" and option.lane in base and not option.cache:
            return option.id
    model = answer.measured.models[0].id
    raise InputError.of("no-lane", f"{model} has no lane that answers at once")


def _standing(plan: Plan, asked: tuple[object, ...], folder: Path, data: Path) -> Path:
    """The plan's file: the one that stands there where it is a job already, else a new one.

    What is known by now may have changed the plan's figures; the rows that `asked` names and
    what they are asked are the same, so they are not paid for again.
    """
    name = hashlib.sha256(repr(asked).encode()).hexdigest()[:12]
    path = folder / f"{plan.workload.digest[7:19]}-{name}.plan.yaml"
    if not (path.exists() and _is_job(path, data)):
        plans.write(plan, path, force=True)
    return path


def _is_job(path: Path, data: Path) -> bool:
    """Whether the plan in a file was handed off."""
    ledger = Ledger.read_only(data)
    if ledger is None:
        return False
    with ledger:
        return plans.read(path).nonce in {each.id for each in ledger.jobs()}


def _unless_job(path: Path, data: Path) -> None:
    """Nobody said yes, or it was refused: the prompt in it does not stay."""
    if not _is_job(path, data):
        path.unlink()


def _template(plan: Plan, workload: readers.Workload, job: Job, whole: str) -> str:
    """What the lesson is found by: that of the whole workload's requests."""
    chosen = prompts.choose(
        workload,
        prompt=job.prompt.text if job.prompt else None,
        system=job.system.text if job.system else None,
        skip_bad=job.skip_bad_rows,
    )
    text = chosen.prompt if isinstance(chosen.prompt, prompts.Template) else None
    return learned.template(
        None if text is None else text.prompt,
        None if text is None else text.system,
        learned.extras(plan.request.params, plan.request.json_schema),
        whole,
    )


# --- running it -------------------------------------------------------------------------


def run(handoff: Handoff, prepared: Prepared, seat: Seat, *, show: int) -> Piloted:
    """Send the rows (after the yes), and what came of them; kept, unless it is a rehearsal."""
    before = handoff.ready.job
    job = handoff.admit()
    done = before is not None and before.state == "done"
    step = handoff.drive().run()
    closed = closing.close(handoff.ledger, handoff.ledger.job(job.id), catalog=seat.catalog)
    lesson = pilots.as_pilot(closed.lesson, template=prepared.template, workload=prepared.workload)
    if not seat.rehearsal and lesson.answered:
        learned.keep(handoff.ledger, lesson, seat.now)
    return Piloted(
        prepared=prepared,
        closed=closed,
        findings=pilots.findings(lesson, prepared.of, seed=prepared.seed),
        step=step,
        answers=tuple(_answers(handoff.folder, prepared, show)),
        again=done,
    )


def _answers(folder: Path, prepared: Prepared, most: int) -> Iterator[tuple[Any, str, str]]:
    """The first rows of the merged file, each by the user's own name of it or its number."""
    path = folder / results.OUT / "results.jsonl"
    if not path.is_file():
        return
    named = prepared.plan.workload.key is not None
    with path.open(encoding="utf-8", errors="surrogatepass") as stream:
        for _, line in zip(range(most), stream, strict=False):
            row = json.loads(line)
            key = row["key"] if named else prepared.numbers[row["row"] - 1]
            yield key, row["outcome"], row["text"] or row["error"] or ""


@contextlib.contextmanager
def rehearsed(
    catalog: Catalog,
    now: datetime,
    provider: str,
    narrate: Callable[[Event], None],
    terms: Terms,
) -> Iterator[tuple[Seat, Terms]]:
    """A seat whose vendor is on loopback, whose clock leaps, and of which nothing is kept."""
    from planner.handoff import rehearsal

    time = rehearsal.clock.Virtual(now)
    with rehearsing.loopback(catalog, time, narrate) as (server, seat):
        yield seat, replace(terms, base_url=server.base_url(provider))
