"""Jobs, options and an invented vendor, each stated by what matters to a test alone."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from planner import catalog
from planner.catalog import prices
from planner.decision.assessment import every_option
from planner.decision.cost import Cost
from planner.decision.options import Case, Option, Verdict, offers
from planner.decision.requirements import Latency, Requirements
from planner.decision.timing import Finish, Probability
from planner.money import Usd
from planner.workload.outputs import given_output
from planner.workload.profile import TokenProfile, given_profile
from planner.workload.sizes import Sizes

if TYPE_CHECKING:
    from planner.catalog import Catalog
    from planner.catalog.prices import RateCard
    from planner.workload.outputs import OutputProfile

PRICING = Path(__file__).parent / "pricing"
TODAY = date(2026, 11, 22)
NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
HOUR = 3600.0


def acme(cache: Path) -> Catalog:
    """The invented vendor; `cache` is a directory of the test's own."""
    return catalog.load(PRICING, cache=cache)


def card(facts: Catalog, model: str = "tall", lane: str = "plain", on: date = TODAY) -> RateCard:
    return prices.card(facts, model, lane, on=on)


# --- jobs ---------------------------------------------------------------------------------


def job(
    rows: int = 1000, prompt: int = 1000, answer: int = 200, *, model: str = "tall", limit: int = 0
) -> TokenProfile:
    """A job of equal rows."""
    output = given_output(answer, None, limit or None)
    return given_profile(model=model, rows=rows, input_tokens=prompt, output=output)


def mixed_job(
    rows: dict[int, int],
    *,
    answer: int = 200,
    low: Fraction = Fraction(1),
    high: Fraction = Fraction(1),
    output: OutputProfile | None = None,
) -> TokenProfile:
    """A job of rows of several sizes, {prompt tokens: rows}, with an interval around them."""
    sizes = Sizes.of(rows)
    made = job(rows=sizes.rows, prompt=1, answer=answer)
    return replace(
        made,
        sizes=sizes,
        sizes_low=sizes.stretched(low),
        sizes_high=sizes.stretched(high),
        output=output or made.output,
    )


def answers(mean: int, low: int, high: int, ceiling: int) -> OutputProfile:
    """Answers known to an interval."""
    made = given_output(mean, None, ceiling)
    return replace(made, low=Fraction(low), high=Fraction(high))


histograms = st.dictionaries(st.integers(1, 290_000), st.integers(1, 500), min_size=1, max_size=6)

outputs = st.lists(st.integers(1, 20_000), min_size=4, max_size=4).map(
    lambda ends: answers(*(sorted(ends)[place] for place in (1, 0, 2, 3)))
)

jobs = st.builds(
    mixed_job,
    histograms,
    low=st.fractions(Fraction(1, 2), 1, max_denominator=100),
    high=st.fractions(1, 2, max_denominator=100),
    output=outputs,
)


# --- cases --------------------------------------------------------------------------------

MEASURED = Latency(mean=5.0, cv=0.5)


def demand(deadline: float | None = None, **other: Any) -> Requirements:
    """A demand with a measured latency and no failures, so that times are simple."""
    stated: dict[str, Any] = {"latency": MEASURED, "failure_rate": 0.0, **other}
    return Requirements(deadline=deadline, **stated)


def case(
    facts: Catalog,
    profile: TokenProfile,
    wanted: Requirements | None = None,
    *,
    on: date = TODAY,
    **other: Any,
) -> Case:
    wanted = wanted or demand()
    found = offers(facts, facts.model(profile.model), wanted, on)
    return Case(catalog=facts, offers=found, profile=profile, requirements=wanted, now=NOW, **other)


def assessed(
    facts: Catalog, profile: TokenProfile, wanted: Requirements | None = None, **other: Any
) -> dict[str, Option]:
    """Every option of the job by what follows the model's name in its id."""
    found = every_option(case(facts, profile, wanted, **other))
    return {each.id.removeprefix(f"{profile.model}/"): each for each in found}


# --- options without a catalog ------------------------------------------------------------


def flat(amount: str | Decimal | int) -> Cost:
    """A cost without an interval."""
    usd = Usd(Decimal(amount))
    return Cost(expected=usd, low=usd, high=usd, p95=usd, ceiling=usd, components=())


def option(
    name: str,
    cost: str | Decimal | int | None,
    p: tuple[float, float] | None = None,
    *,
    verdict: Verdict = Verdict.MEETS,
    delivery: str = "sync",
    **other: Any,
) -> Option:
    """An option as the decision sees it: `p` is mean and lower limit."""
    return Option(
        id=name,
        provider="acme",
        model="tall",
        lane=name,
        delivery=delivery,
        cost=None if cost is None else flat(cost),
        finish=other.pop("finish", Finish(p50=60.0, p95=100.0)),
        p_deadline=None if p is None else Probability(mean=p[0], low=p[1], high=1.0),
        verdict=verdict,
        **other,
    )
