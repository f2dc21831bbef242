"""The ways to run a job as values: what the catalog offers, and what an option is.

An option keeps its figures where they are known even if it cannot run, with each reason in a
sentence, because "why not" is half of the answer. How it comes by them is in `single` (one
lane alone) and `assessment` (lanes joined); which one to take is in `matrix`.

Nothing here knows a vendor, a model or a lane by name. It reads what the catalog says of a
lane (delivery, window, limits) and would assess one that does not exist yet.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Literal

from planner.catalog import prices, support
from planner.decision.timing import NO_FINISH, Finish, Probability
from planner.errors import UnknownFactError
from planner.money import dollars, times
from planner.words import counted

if TYPE_CHECKING:
    from datetime import date, datetime

    from planner.catalog import Catalog, LaneFacts, Model
    from planner.catalog.prices import RateCard
    from planner.catalog.support import Limits, Support
    from planner.decision.cost import Cost
    from planner.decision.requirements import Requirements
    from planner.decision.turnaround import FinishedJob
    from planner.workload.profile import TokenProfile

Strategy = Literal["single", "rescue", "split"]


class Verdict(StrEnum):
    """What an option does about the demand."""

    MEETS = "meets"
    LIKELY = "likely"
    AT_RISK = "at_risk"
    CANNOT = "cannot"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """A reason an option cannot run; with `missing_fact` it might, but nobody says so."""

    code: str
    message: str
    missing_fact: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Rescue:
    """When to give up waiting (seconds from the start), and how likely that is unneeded."""

    at: float
    p_no_rescue: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One way to run the whole job with one model."""

    id: str
    provider: str
    model: str
    lane: str
    delivery: str
    strategy: Strategy = "single"
    cache: bool = False
    hits_assumed: bool = False
    """Whether the cost rests on a cache's hit share that nobody has given or reported."""
    cost: Cost | None = None
    finish: Finish = NO_FINISH
    rescue: Rescue | None = None
    p_deadline: Probability | None = None
    grade: str = "D"
    verdict: Verdict = Verdict.UNKNOWN
    gates: tuple[Gate, ...] = ()
    risks: tuple[str, ...] = ()
    dominated: bool = False
    usd_month: int | None = None
    """US dollars that its usage tier may spend in a month; None: not known, or no limit."""

    def over_month(self, runs: int) -> str | None:
        """Why its usage tier does not let it run so often a month.

        None where it does or nobody says, and where a gate keeps even one run from it.
        """
        gated = any(not gate.missing_fact for gate in self.gates)
        if gated or self.cost is None or self.usd_month is None:
            return None
        month = times(self.cost.expected, runs)
        if month <= self.usd_month:
            return None
        return (
            f"{counted(runs, 'run')} a month come to {dollars(month)}, over the tier's monthly "
            f"spend limit of ${self.usd_month:,}"
        )

    @property
    def complexity(self) -> int:
        """Parts to operate, fewest first: realtime, batch, rescue, split."""
        if self.strategy == "single":
            return 0 if self.delivery == "sync" else 1
        return 2 if self.strategy == "rescue" else 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """What the catalog says of one model on one lane, at a date and a usage tier."""

    model: Model
    on: date
    support: Support
    limits: Limits
    card: RateCard | None
    """None where no price is known; `no_price` then says why."""
    no_price: str | None = None

    @property
    def lane(self) -> LaneFacts:
        """The lane's facts."""
        return self.support.lane


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One model's job: everything an assessment depends on, and nothing else."""

    catalog: Catalog
    offers: tuple[Offer, ...]
    profile: TokenProfile
    requirements: Requirements
    history: tuple[FinishedJob, ...] = ()
    now: datetime
    seed: int = 0


def offers(
    catalog: Catalog, model: Model, requirements: Requirements, on: date
) -> tuple[Offer, ...]:
    """The offers of a model, base lane first; UnknownFactError for an unknown usage tier."""
    return tuple(_offer(catalog, model, lane, requirements, on) for lane in model.lanes)


def _offer(
    catalog: Catalog, model: Model, lane: str, requirements: Requirements, on: date
) -> Offer:
    facts = support.lane(catalog, model, lane, on=on)
    limits = _limits(catalog, model, facts.lane, requirements, on)
    made = Offer(model=model, on=on, support=facts, limits=limits, card=None)
    try:
        card = prices.card(catalog, model, lane, on=on, region=requirements.region)
    except UnknownFactError as error:
        return replace(made, no_price=error.problems[0].message)
    return replace(made, card=card)


def _limits(
    catalog: Catalog, model: Model, lane: LaneFacts, requirements: Requirements, on: date
) -> Limits:
    tier = requirements.tier(model.provider)
    published = support.limits(catalog, model, lane.id, tier=tier, on=on)
    return _overridden(published, lane, requirements.limits)


def tiers(case: Case) -> tuple[str, ...]:
    """The usage tiers that the vendor publishes, from the lowest to the highest."""
    provider = case.offers[0].model.provider
    return tuple(tier.id for tier in support.tiers(case.catalog, provider))


def at_tier(case: Case, tier: str) -> Case:
    """The same case under another usage tier; UnknownFactError for one that is not published.

    Only limits hang on the tier; prices are left as they are.
    """
    first = case.offers[0]
    demand = replace(case.requirements, tiers=((first.model.provider, tier),))
    return replace(
        case,
        requirements=demand,
        offers=tuple(
            replace(each, limits=_limits(case.catalog, each.model, each.lane, demand, each.on))
            for each in case.offers
        ),
    )


def _overridden(published: Limits, lane: LaneFacts, own: tuple[tuple[str, int], ...]) -> Limits:
    """The vendor's limits with the person's own in place of those they name.

    The person's are those of the ordinary lane and of lanes with published ones: whether
    another realtime lane shares them nobody has said.
    """
    known = published.published or lane.base or lane.delivery != "sync"
    own_limits: dict[str, Any] = dict(own) if known else {}
    return replace(published, **own_limits)
