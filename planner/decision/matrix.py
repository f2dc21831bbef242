"""Options -> Decision: which one, which next, which never, and why, in words.

A decision is a frozen value that holds every option, not only the winner, and its
constructor refuses a choice that could not run. Preference is one rule: within a model the
cheapest option that meets the demand, or a simpler one that costs at most `MATERIAL` more.
Models are never ranked by price alone; a headline across models is given only for models
that somebody named, and says that quality was not judged. A weighted score over cost, time
and risk was rejected: nobody can check its weights in a meeting.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TYPE_CHECKING

from planner.decision.options import Option, Verdict
from planner.money import ZERO, Usd, difference, dollars
from planner.words import duration, least, percent, portion

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from planner.decision.requirements import Requirements

MATERIAL = Decimal("0.05")
"""A cost difference below this share does not justify more moving parts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelChoice:
    """The answer for one model: the chosen option's id, or None with the shortfall said."""

    model: str
    options: tuple[Option, ...]
    choice: str | None
    runner_up: str | None
    why: str

    def __post_init__(self) -> None:
        """A choice is one of the options, and one that can run."""
        if self.choice is not None and self.chosen not in candidates(self.options):
            raise ValueError(f"{self.choice} cannot be chosen")

    @property
    def chosen(self) -> Option | None:
        """The chosen option itself."""
        return next((each for each in self.options if each.id == self.choice), None)


def unsettled(options: Sequence[Option]) -> bool:
    """Whether one that can run is not judged: where none is chosen, one may yet meet the demand."""
    return any(each.verdict is Verdict.UNKNOWN and not each.gates for each in options)


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The answer: per model, and across models where models were named."""

    models: tuple[ModelChoice, ...]
    choice: str | None
    why: str

    def __post_init__(self) -> None:
        """A choice across models is the choice of one of them."""
        if self.choice is not None and self.choice not in {each.choice for each in self.models}:
            raise ValueError(f"{self.choice} is no model's choice")

    @property
    def options(self) -> tuple[Option, ...]:
        """Every option of every model."""
        return tuple(option for model in self.models for option in model.options)

    @property
    def meets(self) -> bool:
        """Whether some model has an option that meets the demand."""
        return any(model.choice is not None for model in self.models)


def decide(
    options: Mapping[str, Sequence[Option]], demand: Requirements, *, named: bool
) -> Decision:
    """Choose within each model, and across them only when the models were named."""
    models = tuple(choose(model, each, demand) for model, each in options.items())
    chosen = [model.chosen for model in models if model.chosen is not None]
    if not named:
        return Decision(models=models, choice=None, why="no model was named: one answer for each")
    if not chosen:
        return Decision(models=models, choice=None, why=_nothing(models))
    if len(models) == 1:
        return Decision(models=models, choice=models[0].choice, why=models[0].why)
    best = min(chosen, key=_preference)
    return Decision(
        models=models,
        choice=best.id,
        why=f"{_cost(best)}: cheapest of those you named; quality not judged",
    )


def choose(model: str, options: Sequence[Option], demand: Requirements) -> ModelChoice:
    """The rule within one model."""
    marked = mark_dominated(options)
    ranked = _ranked(candidates(marked, deadline=demand.deadline is not None))
    if not ranked:
        return ModelChoice(
            model=model,
            options=marked,
            choice=None,
            runner_up=None,
            why=shortfall(marked, demand),
        )
    best = ranked[0]
    runner_up = ranked[1] if len(ranked) > 1 else None
    return ModelChoice(
        model=model,
        options=marked,
        choice=best.id,
        runner_up=runner_up.id if runner_up else None,
        why=reason(best, runner_up, marked, demand),
    )


def candidates(options: Iterable[Option], *, deadline: bool = False) -> tuple[Option, ...]:
    """The options that may be chosen: they can run, and meet the deadline if there is one."""
    wanted = {Verdict.MEETS} if deadline else {Verdict.MEETS, Verdict.UNKNOWN}
    return tuple(
        each
        for each in options
        if not each.gates
        and each.cost is not None
        and each.verdict in wanted
        and not each.dominated
    )


def _ranked(able: Sequence[Option]) -> list[Option]:
    """The choice first: the cheapest, or a simpler one that costs immaterially more.

    Simpler is no advantage over a finish that is known, so an unknown one comes last among
    those of about the same cost.
    """
    ordered = sorted(able, key=_preference)
    if not ordered:
        return []
    cheapest = ordered[0]
    limit = _relied_on(cheapest) * (1 + MATERIAL)
    near = [each for each in ordered if _relied_on(each) <= limit]
    best = min(
        near, key=lambda each: (each.finish.p95 is None, each.complexity, *_preference(each))
    )
    return [best, *(each for each in ordered if each is not best)]


def _preference(option: Option) -> tuple[Usd, int, float, str]:
    """Cheaper, then simpler, then earlier, then by name: total, so that a tie is no accident."""
    p95 = option.finish.p95
    return (
        _relied_on(option),
        option.complexity,
        p95 if p95 is not None else float("inf"),
        option.id,
    )


def _relied_on(option: Option) -> Usd:
    """The cost a choice may rest on: the expected one, but the upper end of an assumed cache."""
    if option.cost is not None and option.hits_assumed:
        return option.cost.high
    return _expected(option)


def _expected(option: Option) -> Usd:
    return option.cost.expected if option.cost else ZERO


# --- dominated --------------------------------------------------------------------------


def mark_dominated(options: Sequence[Option]) -> tuple[Option, ...]:
    """Mark what another option beats: no dearer, no less likely, no less simple, one strictly."""
    able = [each for each in options if not each.gates and each.cost is not None]
    return tuple(
        replace(each, dominated=each in able and any(_beats(other, each) for other in able))
        for each in options
    )


def _beats(one: Option, other: Option) -> bool:
    """Whether `one` is as simple, as cheap and as likely as `other`, and strictly better in one.

    Without a deadline nothing is beaten: a dearer lane may be the faster one. Nor is what
    meets the demand beaten by what only may: its evidence is the better part of it.
    """
    mine, theirs = one.p_deadline, other.p_deadline
    if mine is None or theirs is None or one.complexity > other.complexity:
        return False
    if other.verdict is Verdict.MEETS and one.verdict is not Verdict.MEETS:
        return False
    dearer = _expected(one) > _expected(other)
    if dearer or mine.low < theirs.low or mine.mean < theirs.mean:
        return False
    cheaper = _expected(one) < _expected(other)
    return cheaper or mine.low > theirs.low or mine.mean > theirs.mean


# --- words ------------------------------------------------------------------------------


def reason(
    best: Option, runner_up: Option | None, options: Sequence[Option], demand: Requirements
) -> str:
    """Why this option, against the next, and against what is cheaper but falls short."""
    said = [f"{best.id} at {_cost(best)}{_done(best, demand)}"]
    if runner_up is not None:
        said.append(_next(runner_up, best))
    cheaper = cheaper_short(best, options)
    if cheaper is not None:
        saved = dollars(difference(_expected(best), _expected(cheaper)))
        said.append(f"{cheaper.id} would save {saved} but {_short(cheaper, demand)}")
    return "; ".join(said)


def _next(runner_up: Option, best: Option) -> str:
    """The next option, and why it is not the choice."""
    more = difference(_expected(runner_up), _expected(best))
    if more >= 0:
        unknown = "" if runner_up.finish.p95 is not None else ", its finish not known"
        return f"next: {runner_up.id} for {dollars(more)} more{unknown}"
    saved = f"{runner_up.id} would save {dollars(Usd(-more))}"
    if runner_up.hits_assumed:
        return f"{saved} if its cache is hit as assumed: measure it, and give --cache-hit-share"
    return f"{saved}, too little for more to operate"


def cheaper_short(best: Option, options: Sequence[Option]) -> Option | None:
    """The cheapest option below the choice that is no candidate only for its time."""
    below = [
        each
        for each in options
        if each.cost is not None
        and not each.gates
        and not each.dominated
        and each.verdict not in (Verdict.MEETS, Verdict.UNKNOWN)
        and _expected(each) < _expected(best)
    ]
    return min(below, key=_preference, default=None)


def _cost(option: Option) -> str:
    return dollars(_expected(option))


def _done(option: Option, demand: Requirements) -> str:
    """What is said of the time of a chosen option."""
    p, p95 = option.p_deadline, option.finish.p95
    if p is not None and demand.deadline is not None:
        if option.delivery == "sync" and p95 is not None:
            return f", 95 % by {duration(p95)}"
        return f", done in {duration(demand.deadline)}: {percent(p.mean)} ({least(p.low)})"
    if p95 is None:
        return ", finish not known"
    return f", 95 % by {duration(p95)}"


def short(option: Option, demand: Requirements) -> str:
    """Why an option that can run does not meet the demand, to follow its name."""
    p = option.p_deadline
    if p is None or demand.deadline is None:
        return "its finish is not known"
    if option.delivery == "sync" and option.finish.p95 is not None and p.mean == 0:
        return f"needs {duration(option.finish.p95)}"
    if p.low >= demand.confidence:
        return (
            f"rests on grade {option.grade} evidence (no batch of this size is known): "
            "likely, not more, before its documented window"
        )
    by = duration(demand.deadline)
    return f"is {percent(p.mean)} ({least(p.low)}) by {by}"


def _short(option: Option, demand: Requirements) -> str:
    """The same, with the certainty asked for beside a probability that falls below it."""
    p, said = option.p_deadline, short(option, demand)
    if said.startswith("is ") and p is not None:
        said = f"{said}; you asked for {portion(demand.confidence)}"
    return said


def shortfall(options: Sequence[Option], demand: Requirements) -> str:
    """Nothing meets the demand: the best that there is, and what it lacks."""
    running = [each for each in options if not each.gates and each.cost is not None]
    judged = [each for each in running if each.p_deadline is not None]
    if judged:
        best = max(judged, key=_likelihood)
        said = f"nothing meets the deadline; best is {best.id}, which {_short(best, demand)}"
        return "; ".join((said, *_not_known(running)))
    if running:
        return "; ".join(_not_known(running))
    reasons: dict[str, list[str]] = {}
    for each in options:
        if each.gates:
            reasons.setdefault(each.gates[0].message, []).append(each.id.partition("/")[2])
    alone = len(reasons) == 1
    named = (m if alone else f"{m} ({', '.join(lanes)})" for m, lanes in reasons.items())
    return f"no lane can run this job: {'; '.join(named)}"


def _not_known(running: Sequence[Option]) -> Iterator[str]:
    """Which options might meet it if only their finish were known, and what settles that."""
    open_ = [each for each in running if each.verdict is Verdict.UNKNOWN]
    if open_:
        names = ", ".join(each.id for each in open_)
        yield f"when it would be done is not known for {names}: {_settle(open_)}"


def _likelihood(option: Option) -> tuple[float, float, Decimal]:
    p = option.p_deadline
    return (p.low, p.mean, -_expected(option)) if p else (0.0, 0.0, Decimal(0))


def _settle(options: Sequence[Option]) -> str:
    return next((risk for each in options for risk in each.risks), "give its limits")


def _nothing(models: Sequence[ModelChoice]) -> str:
    if len(models) == 1:
        return models[0].why
    return "no model has an option that meets the demand: " + " | ".join(
        f"{model.model}: {model.why}" for model in models
    )
