"""The use cases both faces call: measure a job once, then decide as often as asked.

Two stages, because they differ by a thousandfold in time. `measure` reads the workload and
counts tokens; `estimate` is pure over what came out of it, so a what-if on deadline or
volume never touches the file again. The clock, the history and the seed come in from the
faces; nothing below this module takes them from anywhere else.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta
from fractions import Fraction
from typing import TYPE_CHECKING

from planner import counted_by, words
from planner.catalog.freshness import Freshness, freshness
from planner.decision import assessment, flips, matrix, options, timing
from planner.errors import InputError, UnknownFactError, did_you_mean
from planner.job import after
from planner.workload import counting, outputs, passes, readers, tokens
from planner.workload import profile as profiles
from planner.workload import prompt as prompts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from datetime import date, datetime
    from pathlib import Path

    from planner.catalog import Catalog, Model, Source
    from planner.counted_by import Reference
    from planner.decision.flips import Cell, Flip
    from planner.decision.matrix import Decision
    from planner.decision.options import Option
    from planner.decision.turnaround import FinishedJob
    from planner.decision.waiting import Waiting
    from planner.handoff.learned import Evidence, Known
    from planner.job import Job
    from planner.workload.media import Media
    from planner.workload.outputs import OutputProfile
    from planner.workload.passes import Counted, Progress
    from planner.workload.profile import TokenProfile


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkloadFacts:
    """The file that was read: enough to recognise it again."""

    path: Path
    format: str
    bytes: int
    digest: str
    rows: int
    bad_rows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What was counted, for every model asked about; independent of deadline and lane."""

    job: Job
    models: tuple[Model, ...]
    named: bool
    profiles: tuple[TokenProfile, ...]
    workload: WorkloadFacts | None
    said: tuple[str, ...] = ()
    asked_limit: int | None = None
    """The highest output limit that ready-made requests ask for themselves."""
    stopped: bool = False
    """The count was ended before it was done, and the figures are those of the draws."""
    skipped: tuple[str, ...] = ()
    """The first bad rows that were left out, with their reasons."""
    unanswered: tuple[str, ...] = ()
    """Whose tokens nobody counted though it was asked for, and why."""

    def for_rows(self, rows: int) -> Measured:
        """The same job at another volume."""
        return replace(self, profiles=tuple(each.for_rows(rows) for each in self.profiles))

    @property
    def rows(self) -> int:
        """Rows of the job."""
        return self.profiles[0].rows.value


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """The answer, with what it rests on."""

    on: date
    now: datetime
    catalog: Catalog
    measured: Measured
    job: Job
    decision: Decision
    cases: tuple[options.Case, ...]
    evidence: Freshness
    assumptions: tuple[str, ...]
    warnings: tuple[str, ...]
    flips: Mapping[str, tuple[Flip, ...]] = field(default_factory=dict)
    """Model -> what would change its choice; empty until `with_flips` has searched."""
    waiting: Mapping[str, Waiting | None] = field(default_factory=dict)
    """Model -> what an hour is worth where its cheaper lane stops paying; likewise."""

    def later(self, seconds: float) -> datetime:
        """The moment so many seconds from now."""
        return after(self.now, seconds)

    def option(self, wanted: str) -> Option:
        """An option by its id; InputError with suggestions."""
        found = {each.id: each for each in self.decision.options}
        if wanted not in found:
            hint = did_you_mean(wanted, found) or f"options: {', '.join(found)}"
            raise InputError.of("unknown-option", f"no option {wanted!r} here", hint=hint)
        return found[wanted]


def chosen_models(catalog: Catalog, names: tuple[str, ...]) -> tuple[tuple[Model, ...], bool]:
    """The models named, or the featured ones; and whether they were named."""
    if not names:
        featured = catalog.featured()
        if not featured:
            raise InputError.of(
                "no-model", "no model is named, and none is featured in the catalog"
            )
        return featured, False
    found = {(model.provider, model.id): model for model in map(catalog.model, names)}
    return tuple(found.values()), True


def labels(models: Sequence[Model]) -> tuple[str, ...]:
    """What each model is called in the answer: its id, with its vendor where two sell one id."""
    ids = [model.id for model in models]
    return tuple(
        model.id if ids.count(model.id) == 1 else f"{model.provider}/{model.id}" for model in models
    )


# --- measuring --------------------------------------------------------------------------


def measure(
    catalog: Catalog,
    job: Job,
    progress: Progress | None = None,
    known: Known | None = None,
    references: Sequence[Reference] = (),
) -> Measured:
    """Count the workload for every model asked about, or take the figures given instead.

    `known` is what pilots and finished jobs have taught; it is used where nothing is given.
    `references` count pieces of the rows for models whose tokens we only estimate, the best first
    (--measure, --reconstruct).
    """
    models, named = chosen_models(catalog, job.models)
    _known_names(catalog, models, job)
    if job.workload is None:
        if references:
            raise InputError.of(
                "nothing-to-measure",
                "there are no rows whose tokens could be measured",
                hint="name a file, or leave --measure and --reconstruct out",
            )
        return _from_figures(job, models, named=named)
    return _from_file(
        job, models, named=named, progress=progress, known=known, references=references
    )


def _from_figures(job: Job, models: tuple[Model, ...], *, named: bool) -> Measured:
    if job.rows is None or job.input_tokens is None:
        raise InputError.of(
            "no-workload",
            "there is nothing to estimate",
            hint="name a file, or give --rows and --input-tokens (and --output-tokens)",
        )
    counters = [counted_by.catalog(model) for model in models]
    answers: Mapping[str, tokens.Tally] = {}
    if job.output.sample is not None:
        answers = read_answers(job, _encodings(counters))
    made = tuple(
        profiles.given_profile(
            model=label,
            rows=job.rows,
            input_tokens=job.input_tokens,
            output=_output(job, model, counter, answers),
            shared_prefix=job.shared_prefix,
        )
        for model, label, counter in zip(models, labels(models), counters, strict=True)
    )
    return Measured(
        job=job, models=models, named=named, profiles=_scaled(job, models, made), workload=None
    )


def _from_file(
    job: Job,
    models: tuple[Model, ...],
    *,
    named: bool,
    progress: Progress | None,
    known: Known | None,
    references: Sequence[Reference],
) -> Measured:
    assert job.workload is not None
    workload = readers.open_workload(job.workload, format=job.input_format)
    counters = [counted_by.catalog(model) for model in models]
    chosen = _prompt(job, workload, counted_by.uncountable(models, counters))
    encodings = _encodings(counters)
    how = _how(job, models)
    counted = counting.count(workload, chosen.prompt, encodings, how, progress)
    _large_enough(job, counted)
    answers = counted.answers if job.output.sample is None else read_answers(job, encodings)
    facts = _facts(job.workload, workload, counted)
    shown, unanswered = counted_by.references(
        references, job, zip(models, counters, strict=True), workload, chosen.prompt
    )
    made = tuple(
        _profile(
            job, model, label, counter, counted, answers,
            learned=_learned(known, model, counter, chosen.prompt, facts), measured=measured,
        )
        for model, label, counter, measured in zip(
            models, labels(models), counters, shown, strict=True
        )
    )  # fmt: skip
    return Measured(
        job=job,
        models=models,
        named=named,
        profiles=_scaled(job, models, made),
        workload=facts,
        said=tuple(each for each in (chosen.said,) if each),
        asked_limit=counted.largest_asked,
        stopped=counted.drawn is not None and counted.drawn.stopped,
        skipped=tuple(f"{each.where}: {each.message}" for each in counted.skipped),
        unanswered=unanswered,
    )


def _prompt(
    job: Job, workload: readers.Workload, uncountable: Callable[[Media], str | None]
) -> prompts.Chosen:
    """How rows become requests, as the job says or the file shows."""
    return prompts.choose(
        workload,
        prompt=job.prompt.text if job.prompt else None,
        system=job.system.text if job.system else None,
        prompt_name=job.prompt.name if job.prompt else "--prompt",
        system_name=job.system.name if job.system else "--system",
        skip_bad=job.skip_bad_rows,
        uncountable=uncountable,
        definitions=job.definitions,
    )


def _profile(
    job: Job,
    model: Model,
    label: str,
    counter: tokens.Counter,
    counted: Counted,
    answers: Mapping[str, tokens.Tally],
    *,
    learned: Evidence | None,
    measured: tokens.Counter | None,
) -> TokenProfile:
    output = _output(job, model, counter, answers, counted, learned)
    made = profiles.counted_profile(
        counted,
        model=label,
        counter=counted_by.surest(measured, counted_by.bill(counter, counted, learned)),
        output=output,
        of_rows=job.of_rows,
        shared_prefix=job.shared_prefix or _shared_prefix(counted, measured or counter),
        seed=job.seed,
        edges=_edges(model),
    )
    if learned is None or learned.times is None:
        return made
    times = learned.times
    return replace(made, latency=(times.mean, times.cv, f"{times.n:,} of {learned.said}"))


def _learned(
    known: Known | None,
    model: Model,
    counter: tokens.Counter,
    prompt: prompts.Prompt,
    facts: WorkloadFacts,
) -> Evidence | None:
    """What was learned of these requests to this model."""
    if known is None:
        return None
    text = prompt if isinstance(prompt, prompts.Template) else None
    return known.of(
        provider=model.provider,
        model=model.id,
        prompt=None if text is None else text.prompt,
        system=None if text is None else text.system,
        workload=facts.digest,
        counter=counter.id,
    )


def _facts(path: Path, workload: readers.Workload, counted: Counted) -> WorkloadFacts:
    return WorkloadFacts(
        path=path,
        format=workload.format,
        bytes=workload.bytes,
        digest=counted.digest or workload.digest(),
        rows=counted.rows,
        bad_rows=counted.bad,
    )


def _how(job: Job, models: Sequence[Model]) -> counting.How:
    return counting.How(
        exact=job.exact,
        precision=job.precision,
        seed=job.seed,
        edges=tuple(sorted({edge for model in models for edge in _edges(model)})),
        skip_bad=job.skip_bad_rows,
    )


def _shared_prefix(counted: Counted, counter: tokens.Counter) -> int:
    """Tokens with which every prompt begins, as far as the counted rows show it."""
    tally = counted.tallies[counter.encoding]
    return tokens.stretched(tally.shared_prefix(), counter.band_of(tally).mid)


def _edges(model: Model) -> tuple[int, ...]:
    """Prompt lengths beyond which the model has, had or will have another price."""
    periods = (*model.prices, *(each for offer in model.offers.values() for each in offer.prices))
    return tuple(sorted({edge.at for period in periods for edge in period.over or ()}))


def _encodings(counters: Sequence[tokens.Counter]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(counter.encoding for counter in counters))


def _large_enough(job: Job, counted: Counted) -> None:
    if job.of_rows is not None and job.of_rows < counted.rows:
        raise InputError.of(
            "of-rows",
            f"--of-rows {job.of_rows:,} is less than the {words.counted(counted.rows, 'row')} in "
            "the file",
            hint="the file is a sample of the larger job: give the size of that",
        )


# --- answers ----------------------------------------------------------------------------


def _output(
    job: Job,
    model: Model,
    counter: tokens.Counter,
    answers: Mapping[str, tokens.Tally],
    counted: Counted | None = None,
    learned: Evidence | None = None,
) -> OutputProfile:
    """What is known of the answers: given, learned, seen, or assumed, in that order."""
    asked = job.output.limit or (counted.largest_asked if counted else None)
    if job.output.tokens is not None:
        made = outputs.given_output(job.output.tokens, job.output.cv, asked)
    elif learned is not None and job.output.sample is None:
        made = outputs.billed_output(
            learned.lengths,
            asked,
            basis=learned.basis,
            source=learned.said,
            same_rows=learned.same_rows,
            cut_at=learned.limit if learned.truncated else None,
            seed=job.seed,
        )
    elif answers:
        made = outputs.sampled_output(
            answers[counter.encoding],
            counter,
            asked,
            seed=job.seed,
            drawn=counted.drawn if counted and job.output.sample is None else None,
        )
    else:
        made = outputs.assumed_output(asked)
    return outputs.within(made, model.max_output) if asked is None else made


def _scaled(
    job: Job, models: Sequence[Model], made: tuple[TokenProfile, ...]
) -> tuple[TokenProfile, ...]:
    """The profiles with answers in proportion to their prompts, where that is asked for."""
    if job.output.ratio is None:
        return made
    ratio, cv = job.output.ratio
    return tuple(
        replace(
            each,
            output=outputs.within(
                outputs.scaled_output(ratio, cv, job.output.limit, each.prompt_sizes),
                model.max_output if job.output.limit is None else None,
            ),
        )
        for model, each in zip(models, made, strict=True)
    )


def read_answers(job: Job, encodings: tuple[str, ...]) -> Mapping[str, tokens.Tally]:
    """Tallies of the answers in the output sample; InputError where it holds none."""
    assert job.output.sample is not None
    found = passes.count_answers(_answers(job), encodings)
    if not found:
        raise InputError.of(
            "no-answers", "--output-sample: there is no answer in it", where=str(job.output.sample)
        )
    return found


def _answers(job: Job) -> Iterator[str]:
    path, column = job.output.sample, job.output.sample_field
    assert path is not None
    workload = readers.open_workload(path)
    if column is None:
        column = _answer_column(workload)
    for row in workload.rows(skip_bad=job.skip_bad_rows):
        if column not in row.fields:
            raise InputError.of(
                "unknown-column",
                f"--output-sample: no column {column!r}",
                where=f"{path}:{row.line}",
                hint=f"columns: {', '.join(row.fields)}",
            )
        if row.fields[column] is not None:
            yield str(row.fields[column])


def _answer_column(workload: readers.Workload) -> str:
    columns = workload.columns(workload.head())
    for name in ANSWER_COLUMNS:
        if name in columns:
            return name
    if len(columns) == 1:
        return columns[0]
    raise InputError.of(
        "answer-column",
        "--output-sample: which column holds the answers is not clear",
        where=str(workload.path),
        hint=f"say FILE:FIELD; columns: {', '.join(columns)}",
    )


ANSWER_COLUMNS = ("answer", "output", "completion", "response")
"""Columns taken for the answers when none is named, in this order."""


# --- deciding ---------------------------------------------------------------------------


def estimate(
    catalog: Catalog,
    measured: Measured,
    job: Job,
    *,
    now: datetime,
    on: date | None = None,
    history: tuple[FinishedJob, ...] = (),
    kept: assessment.Assessments | None = None,
) -> Estimate:
    """Options, choices and why, from what was measured; pure, so it may run per keystroke.

    `kept` holds what did not change since its owner asked before; it changes no answer.
    """
    kept = kept or assessment.Assessments()
    day = on or now.date()
    _known_names(catalog, measured.models, job)
    cases = tuple(
        options.Case(
            catalog=catalog,
            offers=kept.offers(catalog, model, job.requirements, day),
            profile=profile,
            requirements=job.requirements,
            history=history,
            now=now,
            seed=job.seed,
        )
        for model, profile in zip(measured.models, measured.profiles, strict=True)
    )
    deadline = job.requirements.deadline
    found = {case.profile.model: kept.of(case).options(deadline) for case in cases}
    decision = matrix.decide(found, job.requirements, named=measured.named)
    evidence = _evidence(cases, day)
    return Estimate(
        on=day,
        now=now,
        catalog=catalog,
        measured=measured,
        job=job,
        decision=decision,
        cases=cases,
        evidence=evidence,
        assumptions=(*_own_figures(cases), *_assumptions(measured, job)),
        warnings=tuple(_warnings(measured, cases, evidence, decision)),
    )


def _known_names(catalog: Catalog, models: Sequence[Model], job: Job) -> None:
    """Vendors and lanes that are named must exist: a typo would silently mean the default."""
    for provider, name in job.requirements.tiers:
        if provider is not None:
            catalog.provider(provider)
        elif len({model.provider for model in models}) > 1:
            vendors = " ".join(sorted({model.provider for model in models}))
            raise InputError.of(
                "which-vendor",
                f"--tier {name}: usage tiers are a vendor's own, and there are several here",
                hint=f"say --tier PROVIDER={name}; vendors: {vendors}",
            )
    region = job.requirements.region
    regions = {name for model in models for name in catalog.provider(model.provider).regions}
    if region is not None and region not in regions:
        known = ", ".join(sorted(regions)) or "none"
        raise UnknownFactError.of(
            "unknown-region",
            f"no region {region!r} of these models' vendors",
            hint=did_you_mean(region, regions) or f"regions with a price: {known}",
        )
    lanes = dict.fromkeys(lane for model in models for lane in model.lanes)
    for lane in job.requirements.lanes:
        if lane not in lanes:
            hint = did_you_mean(lane, lanes) or f"lanes of these models: {', '.join(lanes)}"
            raise UnknownFactError.of("unknown-lane", f"no lane {lane!r}", hint=hint)


def with_flips(answer: Estimate, *models: str, look: flips.Look = lambda: None) -> Estimate:
    """The same answer with what would change each choice, or those of the models named.

    A fraction of a second a model, so a screen asks for the one that is looked at, and ends it
    by raising out of `look`.
    """
    asked = [case for case in answer.cases if not models or case.profile.model in models]
    found = {case.profile.model: flips.flips(case, look) for case in asked}
    worth = {case.profile.model: assessment.Assessment(case).waiting() for case in asked}
    return replace(answer, flips={**answer.flips, **found}, waiting={**answer.waiting, **worth})


MAP_DEADLINES = (0.25, 0.5, 1, 2, 4, 8, 12, 24, 48, 72)
"""Hours of the columns of the map; the one nearest to the deadline asked about gives way to it."""

MAP_VOLUMES = (Fraction(1, 8), Fraction(1, 4), Fraction(1, 2), 1, 2, 4, 8, 16)
"""Its lines, in volumes of the job asked about."""


def maps(
    answer: Estimate, *models: str, look: flips.Look = lambda: None
) -> Mapping[str, tuple[tuple[Cell, ...], ...]]:
    """For each model, or those named, which option wins at which deadline and volume."""
    deadlines = _map_deadlines(answer.job.requirements.deadline)
    return {
        case.profile.model: flips.deadline_volume_map(
            case,
            deadlines,
            list(dict.fromkeys(max(1, round(case.profile.rows.value * x)) for x in MAP_VOLUMES)),
            look,
        )
        for case in answer.cases
        if not models or case.profile.model in models
    }


def _map_deadlines(asked: float | None) -> list[float]:
    """Seconds, ascending, with the deadline asked about among them."""
    usual = [hours * 3600.0 for hours in MAP_DEADLINES]
    if asked is None:
        return usual
    nearest = min(usual, key=lambda each: max(each, asked) / min(each, asked))
    return sorted({*usual, asked} - ({nearest} - {asked}))


def _sources(cases: tuple[options.Case, ...]) -> Iterator[Source]:
    """Every source behind these figures."""
    for case in cases:
        for offer in case.offers:
            if offer.card is not None:
                yield from offer.card.sources
            if offer.support.source is not None:
                yield offer.support.source
            yield from offer.limits.sources


def _evidence(cases: tuple[options.Case, ...], on: date) -> Freshness:
    """How old the facts are that these figures rest on."""
    begun = [
        change
        for case in cases
        for offer in case.offers
        for change in (
            *(offer.card.begun_since_read if offer.card else ()),
            *offer.support.begun_since_read,
        )
    ]
    return freshness(_sources(cases), on=on, begun_since_read=begun)


def _own_figures(cases: tuple[options.Case, ...]) -> Iterator[str]:
    """Which of the person's own files decide a figure here."""
    own = dict.fromkeys(each.overlay for each in _sources(cases) if each.overlay is not None)
    if own:
        yield f"figures of your own decide part of this: {', '.join(own)}"


def _assumptions(measured: Measured, job: Job) -> Iterator[str]:
    """Everything that was not said and had to be taken, once each."""
    yield from measured.said
    yield from dict.fromkeys(each for one in measured.profiles for each in one.said)
    yield from dict.fromkeys(one.output.said for one in measured.profiles)
    asked = {job.output.limit, measured.asked_limit}
    for ceiling in dict.fromkeys(one.output.ceiling for one in measured.profiles):
        given = "as given" if ceiling in asked else "taken from the expected length"
        most = words.counted(ceiling, "token")
        yield f"each answer is limited to {most} ({given}): it goes into the request"
    demand = job.requirements
    timed = [one for one in measured.profiles if one.latency is not None]
    if demand.latency is None:
        yield from dict.fromkeys(_billed_latency(one) for one in timed)
    if demand.latency is None and len(timed) < len(measured.profiles):
        untimed = (one for one in measured.profiles if one.latency is None)
        means = [timing.latency(profile, demand)[0] for profile in untimed]
        took = (
            f"{min(means):.1f}"
            if min(means) == max(means)
            else f"{min(means):.1f}-{max(means):.1f}"
        )
        yield (
            f"a realtime answer takes {took} s on average ({timing.ASSUMED_FIRST_TOKEN:g} s + "
            f"output / {timing.ASSUMED_TOKENS_PER_SECOND:g} a second, assumed, grade D): --latency"
        )
    failing = words.portion(demand.failure_rate)
    yield f"{failing} of realtime attempts fail, {words.counted(demand.retries, 'retry')}"
    for provider in dict.fromkeys(model.provider for model in measured.models):
        if demand.tier(provider) is None:
            yield f"{provider}: the lowest usage tier that it publishes (--tier {provider}=NAME)"


def _billed_latency(profile: TokenProfile) -> str:
    assert profile.latency is not None
    mean, cv, source = profile.latency
    return f"a realtime answer takes {mean:.1f} s on average, CV {cv:.1f}: {source}"


def _warnings(
    measured: Measured,
    cases: tuple[options.Case, ...],
    evidence: Freshness,
    decision: Decision,
) -> Iterator[str]:
    assumed = [one for one in measured.profiles if one.output.basis == "assumed"]
    if assumed:
        yield (
            "the answer length is assumed, and most of the cost hangs on it: give --output-tokens "
            "or --output-sample"
        )
    yield from measured.unanswered
    if measured.stopped:
        yield "counting was stopped: the figures are those of the rows drawn until then"
    facts = measured.workload
    if facts is not None and facts.bad_rows:
        bad = words.counted(facts.bad_rows, "unreadable row")
        yield f"left out: {bad}: {'; '.join(measured.skipped)}"
    for case in cases:
        yield from _retirement(case, decision)
    yield from evidence.warnings
    yield from evidence.refusals


def _retirement(case: options.Case, decision: Decision) -> Iterator[str]:
    """A model that is retired before the job may be done."""
    model = case.offers[0].model
    if model.retires is None:
        return
    longest = max(
        (
            bound
            for each in decision.options
            if each.model == case.profile.model and (bound := each.finish.bound or each.finish.p95)
        ),
        default=0.0,
    )
    last = max(longest, case.requirements.deadline or 0.0)
    if model.retires <= (case.now + timedelta(seconds=last)).date():
        yield f"{model.id} retires on {model.retires}, which may be before the job is done"
