"""Every figure of the fact sheet is answered by the catalog, or its difference is explained.

The sheet (`tests/data/pricing_facts.json`) is what two datasets, the vendors' pages and their SDKs
said on 2026-11-22. It is walked leaf by leaf: a new fact fails until the catalog answers it, and an
explanation that no longer explains anything fails too.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from planner import strict_yaml
from planner.catalog import load, prices, support
from planner.errors import UnknownFactError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from planner.catalog import Catalog, LaneFacts

DATA = Path(__file__).resolve().parent.parent / "data"
PRICING = Path(__file__).resolve().parents[2] / "pricing"
SHEET = json.loads((DATA / "pricing_facts.json").read_text(encoding="utf-8"))
EXPLAINED: Any = strict_yaml.read(DATA / "accepted_differences.yaml").data
ON = date(2026, 11, 22)
SHORT, LONG = 1, 10_000_000

LANES = {
    "standard": "standard",
    "batch": "batch",
    "flex": "flex",
    "fast(speed)": "fast",
    "fast_or_priority": "fast",
    "ultrafast": "ultrafast",
}
PRIORITY = ("google", "xai")
"""Where what the datasets call priority is called so by the vendor too."""
UNSTATED_LIFE = {"anthropic": "cache_write_5m", "openai": "cache_write_30m"}
"""The life of a cache that a plain "cache write" means at each vendor."""


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    return load(PRICING, cache=tmp_path_factory.mktemp("facts"))


@dataclass(frozen=True, kw_only=True)
class Claim:
    """One figure that a source gives, and the question it answers."""

    says: str
    model: str
    lane: str
    meter: str
    theirs: str

    @property
    def key(self) -> tuple[str, ...]:
        return self.says, self.model, self.lane, self.meter


def _name(model: dict[str, Any]) -> str:
    return f"{model['provider']}/{model['id']}"


def _lane(provider: str, said: str) -> str:
    return "priority" if said == "fast_or_priority" and provider in PRIORITY else LANES[said]


def _meter(provider: str, said: str) -> str:
    return UNSTATED_LIFE.get(provider, said) if said == "cache_write" else said


def _edge(tier: str) -> int:
    """The longest prompt still at the lower price; genai-prices has no inclusive edges."""
    thousands = int(tier.removeprefix("over_").removesuffix("k"))
    return thousands if thousands == 199_999 else thousands * 1000


def _price_claims(model: dict[str, Any]) -> Iterator[tuple[Claim, int]]:
    """Each price that a dataset has, with the prompt length to ask for."""
    provider = model["provider"]
    for dataset, lanes in model["usd_per_mtok"].items():
        for said, tiers in (lanes or {}).items():
            lane = _lane(provider, said)
            for tier, rates in tiers.items():
                prompt = SHORT if tier == "base" else LONG
                prefix = "" if tier == "base" else "long "
                for meter, rate in rates.items():
                    known = prefix + _meter(provider, meter)
                    claim = Claim(
                        says=dataset, model=_name(model), lane=lane, meter=known, theirs=rate
                    )
                    yield claim, prompt


def _edge_claims(model: dict[str, Any]) -> Iterator[Claim]:
    """From which prompt on a lane costs more; `none` where a dataset has one price only."""
    for dataset, lanes in model["usd_per_mtok"].items():
        for said, tiers in (lanes or {}).items():
            over = [tier for tier in tiers if tier != "base"]
            edge = str(_edge(over[0]) + 1) if over else "none"
            lane = _lane(model["provider"], said)
            yield Claim(says=dataset, model=_name(model), lane=lane, meter="edge", theirs=edge)


def _dated_claims(model: dict[str, Any]) -> Iterator[tuple[Claim, date]]:
    names = {"input_mtok": "input", "output_mtok": "output", "cache_read_mtok": "cache_read"}
    for period in model.get("dated_prices_genai") or ():
        day = date.fromisoformat(period["from"])
        for said, meter in names.items():
            claim = Claim(
                says="genai_prices",
                model=_name(model),
                lane="standard",
                meter=f"{meter} from {day}",
                theirs=period[said],
            )
            yield claim, day


def _size_claims(model: dict[str, Any]) -> Iterator[Claim]:
    said = {
        ("genai_prices", "context"): model["context_genai"],
        ("litellm", "max_input"): model["max_input_litellm"],
        ("litellm", "max_output"): model["max_output_litellm"],
        ("litellm", "min_prefix"): model["prompt_cache_min_tokens_litellm"],
    }
    for (dataset, what), figure in said.items():
        if figure is not None:
            theirs = str(int(figure))
            yield Claim(says=dataset, model=_name(model), lane="", meter=what, theirs=theirs)
    retires = model["retire_or_shutdown_litellm"]
    if retires is not None:
        yield Claim(says="litellm", model=_name(model), lane="", meter="retires", theirs=retires)


def _region_claims(model: dict[str, Any]) -> Iterator[Claim]:
    for said, factor in (model["region_multiplier_litellm"] or {}).items():
        if said == "fast":
            continue
        region = said.rsplit("_", 1)[-1]
        theirs = str(factor)
        yield Claim(
            says="litellm", model=_name(model), lane="standard", meter=f"in {region}", theirs=theirs
        )


def _asked(catalog: Catalog, claim: Claim, prompt: int, on: date = ON) -> str:
    """The catalog's rate, `none` for a meter without one, or the code of its refusal."""
    meter = claim.meter.removeprefix("long ").split(" from ")[0]
    try:
        rates = prices.card(catalog, claim.model, claim.lane, on=on).over(prompt)
    except UnknownFactError as refused:
        return refused.problems[0].code
    return str(rates.get(meter, "none"))


def _asked_edge(catalog: Catalog, claim: Claim) -> str:
    try:
        card = prices.card(catalog, claim.model, claim.lane, on=ON)
    except UnknownFactError as refused:
        return refused.problems[0].code
    if not card.tiers:
        return "none"
    tier = card.tiers[0]
    return str(tier.edge if tier.inclusive else tier.edge + 1)


def _asked_size(catalog: Catalog, claim: Claim) -> str:
    model = catalog.model(claim.model)
    ours: dict[str, object] = {
        "context": model.context,
        "max_input": model.max_input or model.context,
        "max_output": model.max_output,
        "min_prefix": model.cache_min_prefix,
        "retires": model.retires or model.retires_not_before,
    }
    return str(ours[claim.meter] or "none")


def _asked_region(catalog: Catalog, claim: Claim) -> str:
    region = claim.meter.removeprefix("in ")
    plain = prices.card(catalog, claim.model, claim.lane, on=ON)
    there = prices.card(catalog, claim.model, claim.lane, on=ON, region=region)
    factors = {there.rates[meter] / plain.rates[meter] for meter in plain.rates}
    return str(factors.pop()) if len(factors) == 1 else "uneven"


def _same(theirs: str, ours: str) -> bool:
    try:
        return Decimal(theirs) == Decimal(ours)
    except ArithmeticError:
        return theirs == ours


@cache
def _differences() -> dict[tuple[str, ...], dict[str, str]]:
    rows: list[dict[str, str]] = EXPLAINED["differences"]
    found: dict[tuple[str, ...], dict[str, str]] = {
        (row["says"], row["model"], row["lane"], row["meter"]): row for row in rows
    }
    assert len(found) == len(rows), "the same difference is explained twice"
    return found


def _explains(row: dict[str, str], claim: Claim, ours: str) -> bool:
    moved = not _same(row["theirs"], claim.theirs) or not _same(row["ours"], ours)
    return not moved and not _same(claim.theirs, ours)


def _walk(catalog: Catalog) -> Iterator[tuple[Claim, str]]:
    """Every claim of the datasets with the catalog's answer."""
    for model in SHEET["models_from_datasets"]:
        for claim, prompt in _price_claims(model):
            yield claim, _asked(catalog, claim, prompt)
        for claim in _edge_claims(model):
            yield claim, _asked_edge(catalog, claim)
        for claim, day in _dated_claims(model):
            yield claim, _asked(catalog, claim, SHORT, day)
        for claim in _size_claims(model):
            yield claim, _asked_size(catalog, claim)
        for claim in _region_claims(model):
            yield claim, _asked_region(catalog, claim)


def test_every_figure_of_both_datasets_is_answered_or_explained(catalog: Catalog) -> None:
    wrong = []
    for claim, ours in _walk(catalog):
        row = _differences().get(claim.key)
        if row is None and not _same(claim.theirs, ours):
            wrong.append(f"{claim.key}: theirs {claim.theirs}, ours {ours}, unexplained")
        if row is not None and not _explains(row, claim, ours):
            wrong.append(f"{claim.key}: theirs {claim.theirs}, ours {ours}, explained as {row}")
    assert not wrong, "\n".join(wrong)


def test_no_explanation_is_left_over(catalog: Catalog) -> None:
    asked = {claim.key for claim, _ in _walk(catalog)}
    assert set(_differences()) <= asked
    assert all(row["reason"].strip() for row in _differences().values())


def test_all_models_of_the_sheet_are_here(catalog: Catalog) -> None:
    listed = SHEET["models_from_datasets"] + SHEET["manual_models"]
    assert len(SHEET["models_from_datasets"]) == 83
    for model in listed:
        assert catalog.model(_name(model)).provider == model["provider"]


# ------------------------------------------------------------------ boundaries


def _at(catalog: Catalog, model: str, lane: str, prompt: int) -> tuple[Decimal, Decimal]:
    rates = prices.card(catalog, model, lane, on=ON).over(prompt)
    return rates["input"], rates["output"]


@pytest.mark.parametrize(
    ("model", "lane", "last", "short", "beyond"),
    [
        ("grok-4.7", "standard", 199_999, ("2", "6"), ("4", "12")),
        ("grok-4.3", "standard", 199_999, ("1.25", "2.50"), ("2.50", "5")),
        ("grok-4.3", "batch", 199_999, ("1", "2"), ("2", "4")),
        ("gemini-3.1-pro-preview", "standard", 200_000, ("2", "12"), ("4", "18")),
        ("gemini-3.1-pro-preview", "batch", 200_000, ("1", "6"), ("2", "9")),
        ("gemini-2.5-pro", "standard", 200_000, ("1.25", "10"), ("2.50", "15")),
        ("gemini-2.5-pro", "batch", 200_000, ("0.625", "5"), ("1.25", "7.50")),
        ("claude-haiku-5-5", "standard", 100_000, ("0.10", "0.50"), ("0.50", "2.50")),
        ("claude-haiku-5-5", "batch", 100_000, ("0.05", "0.25"), ("0.25", "1.25")),
        ("gpt-6.2-sol", "standard", 272_000, ("2", "10"), ("4", "15")),
        ("gpt-5.4", "batch", 272_000, ("1.25", "7.50"), ("2.50", "11.25")),
        ("azure/gpt-5.4", "batch", 272_000, ("1.25", "7.50"), ("2.50", "11.25")),
    ],
)
def test_the_last_cheap_prompt_and_the_first_dear_one(
    catalog: Catalog,
    model: str,
    lane: str,
    last: int,
    short: tuple[str, str],
    beyond: tuple[str, str],
) -> None:
    assert _at(catalog, model, lane, last) == tuple(map(Decimal, short))
    assert _at(catalog, model, lane, last + 1) == tuple(map(Decimal, beyond))


@pytest.mark.parametrize(
    ("model", "lane", "first_day", "before", "after"),
    [
        ("gemini-4-argon", "standard", "2026-12-01", "2/10/0.10", "4/20/0.20"),
        ("gemini-4-argon", "batch", "2026-12-01", "1/5/0.05", "2/10/0.10"),
        ("gemini-3.8-flash", "standard", "2027-01-01", "0.75/3.75/0.075", "1.50/7.50/0.15"),
        ("gemini-3.7-flash", "batch", "2027-01-01", "0.375/1.875/0.0375", "0.75/3.75/0.075"),
        ("gemini-3.6-flash", "flex", "2027-01-01", "0.375/1.875/0.0375", "0.75/3.75/0.075"),
        ("mistral-large-4", "standard", "2026-10-20", "0.68/2.09/0.07", "1.36/4.18/0.14"),
        ("mistral-large-4", "standard", "2026-10-29", "1.36/4.18/0.14", "0.70/2.10/0.07"),
        ("mistral-large-4", "batch", "2026-10-29", "0.68/2.09/0.07", "0.35/1.05/0.035"),
        ("grok-4.20", "standard", "2026-04-30", "2/6/0.20", "1.25/2.50/0.20"),
        ("claude-sonnet-5-5", "standard", "2026-10-07", "2/10/0.20", "2/10/0.10"),
        ("gpt-5.6-sol", "standard", "2026-08-21", "5/30/0.50", "4/20/0.40"),
        ("gpt-6.2-sol", "ultrafast", "2027-03-01", "6/30/0.30", "12/60/0.60"),
    ],
)
def test_the_day_before_and_the_day_of_a_change(
    catalog: Catalog, model: str, lane: str, first_day: str, before: str, after: str
) -> None:
    day = date.fromisoformat(first_day)
    for on, said in ((day - timedelta(days=1), before), (day, after)):
        rates = prices.card(catalog, model, lane, on=on).rates
        meters = ("input", "output", "cache_read")
        assert [rates[meter] for meter in meters] == [Decimal(each) for each in said.split("/")]


@pytest.mark.parametrize(
    ("model", "last_day"),
    [("claude-sonnet-4-5", "2026-11-29"), ("gpt-5", "2026-12-10"), ("gpt-4o", "2027-01-13")],
)
def test_the_last_day_of_a_model_and_the_day_after(
    catalog: Catalog, model: str, last_day: str
) -> None:
    day = date.fromisoformat(last_day)
    assert prices.card(catalog, model, "standard", on=day).rates
    with pytest.raises(UnknownFactError) as gone:
        prices.card(catalog, model, "standard", on=day + timedelta(days=1))
    assert gone.value.problems[0].code == "retired"


def test_fast_mode_of_opus_4_8_ends_and_the_sonnet_5_rise_never_comes(catalog: Catalog) -> None:
    end = date(2026, 11, 30)
    model = "claude-opus-4-8"
    assert support.lane(catalog, model, "fast", on=end - timedelta(days=1)).state == "yes"
    assert support.lane(catalog, model, "fast", on=end).state == "no"
    assert prices.card(catalog, "claude-sonnet-5", "standard", on=ON).rates["input"] == 2


# ------------------------------------------------------------------ the models written by hand


def _factors(text: str) -> list[Decimal]:
    return [Decimal(each) for each in re.findall(r"x([0-9.]+)", text)]


def _manual(model: str) -> dict[str, Any]:
    return next(each for each in SHEET["manual_models"] if each["id"] == model)


@pytest.mark.parametrize("model", ["gpt-6.2-sol", "gpt-6.2-astra"])
def test_models_that_no_dataset_has(catalog: Catalog, model: str) -> None:
    said, ours = _manual(model), catalog.model(model)
    listed = prices.card(catalog, model, "standard", on=ON).rates
    for meter, rate in said["usd_per_mtok"]["standard"].items():
        assert listed[meter] == Decimal(rate.split()[0]), meter
    sizes = (said["context"], said["max_input"], said["max_output"])
    assert (ours.context, ours.max_input, ours.max_output) == sizes
    assert str(ours.released) == said["released"]
    for lane in ("batch", "flex"):
        state = support.lane(catalog, model, lane, on=ON).state
        assert state == ("yes" if said[lane] else "no"), lane


def test_the_lanes_of_gpt_6_2_sol(catalog: Catalog) -> None:
    said = _manual("gpt-6.2-sol")["usd_per_mtok"]
    listed = prices.card(catalog, "gpt-6.2-sol", "standard", on=ON)
    for lane in ("batch", "background_2h", "background_8h", "fast", "ultrafast"):
        rates = prices.card(catalog, "gpt-6.2-sol", lane, on=ON).rates
        factor = _factors(said[lane])[0]
        assert rates == {meter: rate * factor for meter, rate in listed.rates.items()}, lane
    inputs, outputs = _factors(said["over_272k"])
    beyond = listed.over(272_001)
    assert beyond["output"] == listed.rates["output"] * outputs
    assert beyond["cache_read"] == listed.rates["cache_read"] * inputs
    later = prices.card(catalog, "gpt-6.2-sol", "ultrafast", on=date(2027, 3, 1))
    assert later.rates["input"] == listed.rates["input"] * _factors(said["ultrafast"])[1]


# ------------------------------------------------------------------ batch policies

PROVIDERS = {
    "openai_background": "openai",
    "google_gemini_api": "google",
    "azure_openai": "azure",
}
SAMPLE = {
    "anthropic": "claude-sonnet-5-5",
    "openai": "gpt-6-sol",
    "google": "gemini-3.8-flash",
    "vertex": "vertex/gemini-3.5-flash",
    "mistral": "mistral-large-4",
    "xai": "grok-4.3",
    "groq": "openai/gpt-oss-120b",
    "together": "meta-llama/Llama-3.3-70B-Instruct-Turbo",
    "kimi": "kimi-k2.5",
    "bedrock": "anthropic.claude-sonnet-4-6",
    "azure": "azure/gpt-5.4",
    "fireworks": "accounts/fireworks/models/gpt-oss-20b",
    "deepseek": "deepseek-v4-pro",
}
"""A model of each vendor that has no exception of its own."""
HOUR, DAY = 3600, 86400


def _leaves(node: object, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    if isinstance(node, dict):
        for key, value in node.items():
            yield from _leaves(value, (*path, key))
    else:
        yield ".".join(path), node


class Policies:
    """The catalog's answers to what the sheet says of each vendor's batch."""

    def __init__(self, catalog: Catalog) -> None:
        self.catalog = catalog

    def lane(self, provider: str, lane: str = "batch") -> LaneFacts:
        return self.catalog.provider(provider).lane(lane)

    def batch(self, provider: str, figure: str) -> int | None:
        return (self.lane(provider).per_batch or {}).get(figure)

    def factor(self, provider: str, lane: str = "batch", meter: str = "output") -> str:
        model = SAMPLE[provider]
        rate = prices.card(self.catalog, model, lane, on=ON).rates[meter]
        factor = rate / prices.card(self.catalog, model, "standard", on=ON).rates[meter]
        return str(factor.normalize())

    def states(self, *models: str, lane: str = "batch") -> set[str]:
        return {support.lane(self.catalog, model, lane, on=ON).state for model in models}

    def limit(self, model: str, tier: str | None, figure: str, lane: str = "batch") -> int | None:
        found = support.limits(self.catalog, model, lane, tier=tier, on=ON)
        value: int | None = getattr(found, figure)
        return value

    def cached(self, model: str, lane: str = "batch") -> str:
        rates = prices.card(self.catalog, model, lane, on=ON).rates
        return str(rates.get("cache_read", "none"))

    def billed(self, provider: str) -> dict[str, str]:
        return dict(self.lane(provider).billed)


def _named(policies: Policies, said: str) -> set[str]:
    """The models of the sheet's patterns: `claude-fable-*` stands for all of them."""
    pattern = re.compile(said.replace("*", ".*"))
    return {each.id for each in policies.catalog.models() if pattern.fullmatch(each.id)}


Check = tuple["Callable[[Policies], object]", object]
"""What to ask, and what the sheet's words mean."""
OWN = None
"""The sheet's own value is the expected one."""


def _rates(policies: Policies, model: str) -> list[str]:
    return list(prices.card(policies.catalog, model, "standard", on=ON).rates)


def _batch_lane(policies: Policies, model: str) -> LaneFacts:
    return support.lane(policies.catalog, model, "batch", on=ON).lane


def _background(policies: Policies, window: str) -> str:
    lane = f"background_{window}"
    facts = policies.lane("openai", lane)
    assert facts.window == int(window.removesuffix("h")) * HOUR
    batch = prices.card(policies.catalog, "gpt-6.2-sol", lane, on=ON).rates["input"]
    listed = prices.card(policies.catalog, "gpt-6.2-sol", "standard", on=ON).rates["input"]
    return str((batch / listed).normalize())


def _eu(policies: Policies, model: str) -> str:
    try:
        prices.card(policies.catalog, model, "batch", on=ON, region="eu")
    except UnknownFactError as refused:
        return refused.problems[0].code
    return "offered"


def _says(policies: Policies, provider: str, words: str) -> bool:
    return words in (policies.lane(provider).note or "")


def _gemini_cached(policies: Policies) -> str:
    """Unchanged, halved, or the published 0.02."""
    kept = ["gemini-2.5-pro", "gemini-2.5-flash", "gemini-2.5-flash-lite"]
    kept += ["gemini-3.1-pro-preview", "gemini-3-flash-preview"]
    halved = ["gemini-3.1-flash-lite", "gemini-3.6-flash", "gemini-3.8-flash", "gemini-4-argon"]
    for models, factor in ((kept, Decimal(1)), (halved, Decimal("0.5"))):
        for model in models:
            listed = Decimal(policies.cached(model, "standard"))
            assert Decimal(policies.cached(model)) == listed * factor, model
    assert policies.cached("gemini-3.5-flash-lite") == "0.02"
    return "as published"


def _gemini_queues(policies: Policies) -> list[object]:
    asked = [
        ("gemini-2.5-pro", "tier-1"),
        ("gemini-2.5-flash", "tier-1"),
        ("gemini-2.5-flash-lite", "tier-1"),
        ("gemini-embedding-001", "tier-1"),
        ("gemini-embedding-001", "tier-2"),
        ("gemini-embedding-001", "tier-3"),
    ]
    figures = [policies.limit(model, tier, "queued_input_tokens") for model, tier in asked]
    return [Decimal(each or 0) / 1_000_000 for each in figures]


def _closed(policies: Policies) -> list[object]:
    """When off-peak is not: the gaps of each day that is not open all day, in minutes."""
    opened: dict[int, tuple[tuple[int, int], ...]] = {}
    for hours in policies.lane("deepseek", "offpeak").open:
        opened |= dict.fromkeys(hours.days, hours.minutes)
    assert sorted(opened) == list(range(7))
    gaps: list[object] = []
    for day, spans in sorted(opened.items()):
        assert spans[0][0] == 0, day
        assert spans[-1][1] == 1440, day
        between = [(one[1], other[0]) for one, other in pairwise(spans)]
        if between:
            gaps.append((day, tuple(between)))
    return gaps


LONG_OUTPUT = SHEET["batch"]["anthropic"]["batch_only"]


def _queue(tier: str, figure: str) -> Check:
    return lambda p: p.limit("claude-sonnet-5-5", tier, figure), OWN


def _billed(outcome: str, *, billed: bool) -> Check:
    return lambda p: p.billed("anthropic")[outcome], "yes" if billed else "no"


def _shorter_window(window: str) -> Check:
    return lambda p: _background(p, window), OWN


def _support(models: list[str], state: str) -> Check:
    return lambda p: p.states(*models), {state}


def _longer_outputs(policies: Policies) -> list[str]:
    models = policies.catalog.provider("anthropic").models
    return sorted(each for each in models if _batch_lane(policies, each).max_output is not None)


def _unknown_long_outputs(policies: Policies) -> set[int | None]:
    models = {model for said in LONG_OUTPUT["unknown"] for model in _named(policies, said)}
    return {_batch_lane(policies, model).max_output for model in models}


READ: dict[str, Check] = {
    # Anthropic's longer outputs
    "anthropic.batch_only.header": (
        lambda p: {
            LONG_OUTPUT["header"] in (_batch_lane(p, each).needs or "")
            for each in LONG_OUTPUT["models"]
        },
        {True},
    ),
    "anthropic.batch_only.max_tokens": (
        lambda p: {_batch_lane(p, each).max_output for each in LONG_OUTPUT["models"]},
        {LONG_OUTPUT["max_tokens"]},
    ),
    "anthropic.batch_only.models": (_longer_outputs, sorted(LONG_OUTPUT["models"])),
    "anthropic.batch_only.unknown": (_unknown_long_outputs, {None}),
    # Anthropic
    "anthropic.multiplier": (lambda p: p.factor("anthropic"), OWN),
    "anthropic.applies_to": (
        lambda p: {p.factor("anthropic", meter=each) for each in _rates(p, "claude-haiku-5-5")},
        {"0.5"},
    ),
    "anthropic.support": (lambda p: p.lane("anthropic").listed, False),
    "anthropic.window_h": (lambda p: (p.lane("anthropic").window or 0) // HOUR, OWN),
    "anthropic.on_deadline": (lambda p: p.lane("anthropic").at_window, "expires"),
    "anthropic.typical": (lambda p: p.lane("anthropic").usual, "most within 1 hour"),
    "anthropic.limits.requests_per_batch": (lambda p: p.batch("anthropic", "requests"), OWN),
    "anthropic.limits.bytes_per_batch": (lambda p: p.batch("anthropic", "bytes"), OWN),
    "anthropic.results": (lambda p: p.lane("anthropic").results_kept, 29 * DAY),
    "anthropic.cache": (
        lambda p: p.lane("anthropic").cache_hits,
        (Decimal("0.30"), Decimal("0.98")),
    ),
    "anthropic.refuses": (
        lambda p: [each.replace(": ", ":") for each in p.lane("anthropic").refuses],
        None,
    ),
    # OpenAI
    "openai.multiplier": (lambda p: p.factor("openai"), OWN),
    "openai.exceptions": (
        lambda p: [p.cached(each) for each in ("gpt-5.4", "gpt-4.1", "gpt-4o", "o3")],
        ["0.13", "none", "none", "none"],
    ),
    "openai.support": (
        lambda p: (p.lane("openai").listed, _eu(p, "gpt-6-sol"), _eu(p, "gpt-6-luna")),
        (True, "unsupported", "unsupported"),
    ),
    "openai.window_h": (lambda p: (p.lane("openai").window or 0) // HOUR, OWN),
    "openai.on_deadline": (lambda p: p.lane("openai").at_window, "expires"),
    "openai.typical": (
        lambda p: p.lane("openai").usual,
        "often more quickly than 24 hours",
    ),
    "openai.limits.requests_per_batch": (lambda p: p.batch("openai", "requests"), OWN),
    "openai.limits.bytes_per_file": (lambda p: p.batch("openai", "bytes"), OWN),
    "openai.limits.models_per_batch": (
        lambda p: "several models in one batch" in p.lane("openai").refuses,
        True,
    ),
    "openai.results": (lambda p: p.lane("openai").results_kept, 30 * DAY),
    "openai.billing.completed": (lambda p: p.billed("openai")["completed"], "yes"),
    "openai.billing.expired": (lambda p: p.billed("openai")["expired"], "no"),
    "openai.billing.cancelled_unexecuted": (lambda p: p.billed("openai")["cancelled"], "no"),
    "openai.billing.4xx": (lambda p: p.billed("openai")["failed"], "unknown"),
    "openai.cancel": (lambda p: p.lane("openai").cancel, 600),
    "openai_background.support": (
        lambda p: p.states("gpt-6.2-sol", lane="background_2h"),
        {"yes"},
    ),
    "openai_background.api": (
        lambda p: "stream" in p.lane("openai", "background_8h").refuses,
        True,
    ),
    # Gemini
    "google_gemini_api.multiplier": (lambda p: p.factor("google"), OWN),
    "google_gemini_api.exceptions": (_gemini_cached, "as published"),
    "google_gemini_api.window_h": (lambda p: (p.lane("google").target or 0) // HOUR, OWN),
    "google_gemini_api.on_deadline": (
        lambda p: (p.lane("google").at_window, p.lane("google").window),
        ("expires_without_results", 48 * HOUR),
    ),
    "google_gemini_api.limits.concurrent_batches": (
        lambda p: p.limit("gemini-3.8-flash", "tier-1", "max_active"),
        OWN,
    ),
    "google_gemini_api.limits.file_bytes": (lambda p: p.batch("google", "bytes"), OWN),
    "google_gemini_api.limits.inline_bytes": (lambda p: p.batch("google", "inline_bytes"), OWN),
    "google_gemini_api.queue": (_gemini_queues, [5, 3, 10, Decimal("0.5"), 5, 10]),
    "google_gemini_api.results": (lambda p: p.lane("google").results_kept, 42 * DAY),
    "google_gemini_api.typical": (
        lambda p: p.lane("google").usual,
        "many jobs may complete much faster",
    ),
    "google_gemini_api.quirks": (lambda p: _says(p, "google", "not idempotent"), True),
    # Google Cloud
    "vertex.multiplier": (lambda p: p.factor("vertex"), OWN),
    "vertex.cache": (lambda p: p.factor("vertex", meter="cache_read"), "1"),
    "vertex.window_h": (lambda p: (p.lane("vertex").target or 0) // HOUR, OWN),
    "vertex.note": (lambda p: p.lane("vertex").window, 96 * HOUR),
    # Mistral
    "mistral.multiplier": (lambda p: p.factor("mistral"), OWN),
    "mistral.support": (lambda p: p.lane("mistral").listed, False),
    "mistral.window": (
        lambda p: (p.lane("mistral").window, p.lane("mistral").window_max),
        (DAY, 7 * DAY),
    ),
    "mistral.on_deadline": (lambda p: p.lane("mistral").at_window, "expires"),
    "mistral.limits.requests_per_batch": (lambda p: p.batch("mistral", "requests"), OWN),
    "mistral.limits.pending_requests_per_workspace": (
        lambda p: p.limit("mistral-large-4", None, "queued_requests"),
        OWN,
    ),
    "mistral.results": (
        lambda p: _says(p, "mistral", "only when the whole job is done"),
        True,
    ),
    "mistral.rate_limits": (
        lambda p: _says(p, "mistral", "do not consume the rate limits"),
        True,
    ),
    "mistral.cache": (lambda p: p.factor("mistral", meter="cache_read"), "0.5"),
    # xAI
    "xai.multiplier": (lambda p: p.factor("xai"), OWN),
    "xai.applies_to": (
        lambda p: {p.factor("xai", meter=each) for each in ("input", "output", "cache_read")},
        {"0.8"},
    ),
    "xai.window": (
        lambda p: (p.lane("xai").window, p.lane("xai").target, p.lane("xai").results_kept),
        (None, DAY, 30 * DAY),
    ),
    "xai.limits.requests_per_file": (lambda p: p.batch("xai", "requests"), OWN),
    "xai.limits.bytes_per_file": (lambda p: p.batch("xai", "bytes"), OWN),
    "xai.limits.bytes_per_request": (lambda p: p.batch("xai", "request_bytes"), OWN),
    "xai.limits.creates_per_s": (lambda p: _says(p, "xai", "2 batches a second"), True),
    "xai.limits.adds_per_30s": (
        lambda p: _says(p, "xai", "1,000 added requests in 30 seconds"),
        True,
    ),
    "xai.quirks": (lambda p: _says(p, "xai", "HTTP 400"), True),
    # Groq
    "groq.multiplier": (lambda p: p.factor("groq"), OWN),
    "groq.cache": (
        lambda p: p.cached("openai/gpt-oss-120b"),
        "0.075",
    ),
    "groq.window": (
        lambda p: (p.lane("groq").window, p.lane("groq").window_max),
        (DAY, 7 * DAY),
    ),
    "groq.on_deadline": (
        lambda p: (p.lane("groq").at_window, p.billed("groq")["completed"]),
        ("expires", "yes"),
    ),
    "groq.limits.lines": (lambda p: p.batch("groq", "requests"), OWN),
    "groq.limits.bytes": (lambda p: p.batch("groq", "bytes"), OWN),
    "groq.retention_days": (lambda p: (p.lane("groq").results_kept or 0) // DAY, OWN),
    # Together, Fireworks, Kimi
    "together.multiplier": (
        lambda p: (p.factor("together"), p.cached("together/openai/gpt-oss-20b")),
        ("0.5", "none"),
    ),
    "together.support": (
        lambda p: p.states(SAMPLE["together"], "openai/whisper-large-v3"),
        {"yes"},
    ),
    "together.window_h": (lambda p: (p.lane("together").window or 0) // HOUR, OWN),
    "together.at": (lambda p: p.lane("together").at_window, "best_effort"),
    "together.limits.requests": (lambda p: p.batch("together", "requests"), OWN),
    "together.limits.file_bytes": (lambda p: p.batch("together", "bytes"), OWN),
    "together.limits.line_bytes": (lambda p: p.batch("together", "request_bytes"), OWN),
    "together.limits.enqueued_tokens_per_model": (
        lambda p: p.limit(SAMPLE["together"], None, "queued_input_tokens"),
        OWN,
    ),
    "together.billing": (lambda p: p.billed("together"), {"completed": "yes", "failed": "no"}),
    "together.typical": (
        lambda p: p.lane("together").usual,
        "under 1,000 requests in minutes",
    ),
    "fireworks.multiplier": (lambda p: p.factor("fireworks"), OWN),
    "fireworks.cache": (lambda p: p.cached(SAMPLE["fireworks"]), "none"),
    "fireworks.limits.dataset_bytes": (lambda p: p.batch("fireworks", "bytes"), OWN),
    "fireworks.resume": (lambda p: _says(p, "fireworks", "continued_from_job_name"), True),
    "kimi.multiplier": (lambda p: p.factor("kimi"), OWN),
    "kimi.support": (
        lambda p: [
            each.id
            for each in p.catalog.provider("kimi").models.values()
            if p.states(each.id) == {"yes"}
        ],
        OWN,
    ),
    # DeepSeek
    "deepseek.batch": (lambda p: p.catalog.provider("deepseek").lanes.get("batch"), OWN),
    "deepseek.offpeak_multiplier": (lambda p: p.factor("deepseek", "offpeak"), OWN),
    "deepseek.offpeak": (_closed, [(day, ((60, 240), (360, 600))) for day in range(5)]),
    # Bedrock, Azure
    "bedrock.multiplier": (
        lambda p: (p.factor("bedrock"), p.lane("bedrock").listed),
        ("0.5", True),
    ),
    "bedrock.refuses": (
        lambda p: list(p.lane("bedrock").refuses),
        ["tools", "structured output"],
    ),
    "bedrock.limits.min_records": (lambda p: p.batch("bedrock", "min_requests"), OWN),
    "bedrock.limits.timeout_h": (
        lambda p: [
            (p.lane("bedrock").window or 0) // HOUR,
            (p.lane("bedrock").window_max or 0) // HOUR,
        ],
        OWN,
    ),
    "azure_openai.multiplier": (lambda p: p.factor("azure"), "0.5"),
    "azure_openai.window_h": (lambda p: (p.lane("azure").target or 0) // HOUR, OWN),
    "azure_openai.on_deadline": (
        lambda p: (p.lane("azure").at_window, p.billed("azure")["completed"]),
        ("keeps_running", "yes"),
    ),
    "azure_openai.limits.file_bytes": (lambda p: p.batch("azure", "bytes"), OWN),
    "azure_openai.limits.requests_per_file": (lambda p: p.batch("azure", "requests"), OWN),
    "azure_openai.queue": (
        lambda p: [
            p.limit("azure/gpt-4o", tier, "queued_input_tokens")
            for tier in ("default", "enterprise")
        ],
        [200_000_000, 5_000_000_000],
    ),
    "azure_openai.models": (lambda p: p.states("azure/gpt-5.4", "azure/gpt-5.4-mini"), {"yes"}),
}


def _tables() -> Iterator[tuple[str, Check]]:
    """What stands in the sheet as lists and tables of one shape."""
    batch = SHEET["batch"]
    for tier, figures in batch["anthropic"]["queue_by_tier"].items():
        for figure in figures:
            yield f"anthropic.queue_by_tier.{tier}.{figure}", _queue(tier, figure)
    for outcome, billed in batch["anthropic"]["billing"].items():
        yield f"anthropic.billing.{outcome}", _billed(outcome, billed=billed)
    for window in batch["openai_background"]["lanes"]:
        yield f"openai_background.lanes.{window}", _shorter_window(window)
    for state, models in batch["xai"]["support"].items():
        yield f"xai.support.{state}", _support(models, state)
    yield "groq.support", _support(batch["groq"]["support"], "yes")


CHECKS = READ | dict(_tables())


NOT_ASKED = re.compile(
    r"""
    .*\.(src|states|result_states)      # where it was read; vendors' words for a job's progress
    | anthropic\.(runtime_check|limits\.custom_id)            # for the hand-off
    | openai\.(endpoints|queue|limits\.(embedding_inputs|batches_per_hour))
    | google_gemini_api\.limits\.storage_bytes
    | bedrock\.limits\.others
    | azure_openai\.limits\.files_per_resource
    | openrouter\..*                    # no vendor here; its measurement is the public prior
    """,
    re.VERBOSE,
)


def test_every_leaf_of_the_batch_policies_is_asked_for() -> None:
    leaves = {path for path, _ in _leaves(SHEET["batch"])}
    skipped = {path for path in leaves if NOT_ASKED.fullmatch(path)}
    assert leaves - skipped == set(CHECKS)


@pytest.mark.parametrize("path", sorted(CHECKS))
def test_batch_policy(catalog: Catalog, path: str) -> None:
    ask, expected = CHECKS[path]
    if expected is None:
        expected = dict(_leaves(SHEET["batch"]))[path]
    assert ask(Policies(catalog)) == expected


# ------------------------------------------------------------------ limits

ANTHROPIC_ROWS = {
    "Fable 5.x (combined)": ["claude-fable-5-2", "claude-fable-5-1", "claude-fable-5"],
    "each of Opus 5.5 / Opus 5 / Opus 4.x(combined) / Sonnet 5.5 / Sonnet 5 / Sonnet 4.x(combined)"
    " / Haiku 5.5 / Haiku 4.5": [
        "claude-opus-5-5",
        "claude-opus-5",
        "claude-opus-4-8",
        "claude-opus-4-7",
        "claude-opus-4-6",
        "claude-opus-4-5",
        "claude-sonnet-5-5",
        "claude-sonnet-5",
        "claude-sonnet-4-6",
        "claude-sonnet-4-5",
        "claude-haiku-5-5",
        "claude-haiku-4-5",
    ],
}
ABSENT = {"o1-pro"}
"""Of the limit rows, the models that this catalog does not have: not a current chat model."""


def test_limits_of_anthropic(catalog: Catalog) -> None:
    said = SHEET["rate_limits"]["anthropic"]
    for row in said["rows"]:
        for model in ANTHROPIC_ROWS[row["models"]]:
            for tier in ("start", "build", "scale"):
                found = support.limits(catalog, model, "standard", tier=tier, on=ON)
                assert [getattr(found, each) for each in said["columns"]] == row[tier], model
                assert found.usd_month == said["spend_cap_usd_month"][tier]
                assert not found.counts_cache_read
                assert not found.counts_max_output
    pools = {
        model: support.limits(catalog, model, "standard", on=ON).pool
        for models in ANTHROPIC_ROWS.values()
        for model in models
    }
    combined = {model for model, pool in pools.items() if pool is not None}
    assert combined == {
        model for model in pools if re.match(r"claude-(fable-5|opus-4|sonnet-4)", model)
    }


def _openai_rows() -> list[tuple[str, dict[str, list[int]]]]:
    rows = SHEET["rate_limits"]["openai"]["rows"].items()
    named = [(model.strip(), figures) for names, figures in rows for model in names.split(",")]
    full = [("gpt-" + name if name[0].isdigit() else name, figures) for name, figures in named]
    return [row for row in full if row[0] not in ABSENT]


@pytest.mark.parametrize(("model", "figures"), _openai_rows())
def test_limits_of_openai(catalog: Catalog, model: str, figures: dict[str, list[int]]) -> None:
    for tier, (rpm, tpm, queue) in figures.items():
        name = f"tier-{tier.removeprefix('T')}"
        realtime = support.limits(catalog, model, "standard", tier=name, on=ON)
        batch = support.limits(catalog, model, "batch", tier=name, on=ON)
        assert (realtime.rpm, realtime.tpm, batch.queued_input_tokens) == (rpm, tpm, queue)


def test_usage_tiers_in_the_notes(catalog: Catalog) -> None:
    openai = [(each.spend, each.usd_month) for each in support.tiers(catalog, "openai")]
    assert openai == [(5, 100), (50, 500), (100, 1000), (250, 5000), (1000, 200_000)]
    google = support.tiers(catalog, "google")[:2]
    assert [each.usd_month for each in google] == [250, 2000]
    spend = [
        support.limits(catalog, "gemini-3.8-flash", "standard", tier=each.id, on=ON).usd_10min
        for each in google
    ]
    assert spend == [10, 50]
    xai = support.limits(catalog, "grok-4.20", "standard", on=ON)
    assert (xai.rpm, xai.tpm) == (1800, 10_000_000)
    astra = support.limits(catalog, "gpt-6.2-astra", "standard", on=ON)
    assert (astra.rpm, astra.tpm) == (5000, 1_000_000)


# ------------------------------------------------------------------ what only the text of it says


@pytest.mark.parametrize(
    ("model", "region"),
    [
        ("claude-sonnet-5-5", "us"),
        ("mistral-large-4", "eu"),
        ("mistral-large-4", "us"),
        ("grok-4.3", "us"),
        ("anthropic.claude-opus-5", "us"),
        ("anthropic.claude-opus-5", "eu"),
        ("vertex/claude-opus-5-5", "regional"),
    ],
)
def test_a_region_costs_a_tenth_more(catalog: Catalog, model: str, region: str) -> None:
    listed = prices.card(catalog, model, "standard", on=ON).rates
    there = prices.card(catalog, model, "standard", on=ON, region=region).rates
    assert there == {meter: rate * Decimal("1.1") for meter, rate in listed.items()}


def test_the_grok_4_20_family_costs_the_same(catalog: Catalog) -> None:
    family = ["grok-4.20", "grok-4.20-0309-non-reasoning", "grok-4.20-multi-agent"]
    for day in (date(2026, 4, 29), ON):
        cards = [prices.card(catalog, each, "standard", on=day) for each in family]
        assert all((each.rates, each.tiers) == (cards[0].rates, cards[0].tiers) for each in cards)


def test_explicit_caches_of_gemini_flash_cost_storage(catalog: Catalog) -> None:
    for model in ("gemini-3.6-flash", "gemini-3.7-flash", "gemini-3.8-flash"):
        card = prices.card(catalog, model, "standard", on=ON)
        assert card.rates["cache_storage"] == Decimal("0.50")
        assert prices.card(catalog, model, "batch", on=ON).unpublished == ("cache_storage",)
    assert "cache_storage" not in prices.card(catalog, "gemini-4-argon", "standard", on=ON).rates


def test_what_is_not_billed_by_the_token_is_supported_without_a_price(catalog: Catalog) -> None:
    for model in ("whisper-large-v3", "openai/whisper-large-v3"):
        assert support.lane(catalog, model, "batch", on=ON).state == "yes"
        with pytest.raises(UnknownFactError) as priceless:
            prices.card(catalog, model, "batch", on=ON)
        assert priceless.value.problems[0].code == "no-price"


def test_resellers_leave_the_bare_names_to_the_makers(catalog: Catalog) -> None:
    assert catalog.model("gpt-5.4").provider == "openai"
    assert catalog.model("gemini-3.5-flash").provider == "google"
    assert catalog.model("azure/gpt-5.4").provider == "azure"
    assert catalog.model("openai/gpt-oss-20b").provider == "groq"


def test_a_small_and_a_middle_gemini_speak_for_the_family(catalog: Catalog) -> None:
    featured = [model.id for model in catalog.featured() if model.provider == "google"]
    assert featured == ["gemini-3.8-flash", "gemini-3.5-flash-lite"]


# ------------------------------------------------------------------ disagreements


def test_each_disagreement_of_the_sources_is_settled_in_a_file() -> None:
    settled = EXPLAINED["disagreements"]
    assert [row["begins"] for row in settled] == [
        each[: len(row["begins"])]
        for each, row in zip(SHEET["disagreements"], settled, strict=True)
    ]
    for row in settled:
        text = " ".join((PRICING / row["file"]).read_text(encoding="utf-8").split())
        bare = text.replace(" # ", " ")
        assert row["says"] in bare, f"{row['file']} does not say {row['says']!r}"


def test_what_is_left_out_is_not_in_the_catalog(catalog: Catalog) -> None:
    for row in EXPLAINED["left_out"]:
        with pytest.raises(UnknownFactError) as absent:
            catalog.model(row["model"])
        assert absent.value.problems[0].code == "unknown-model"
        assert row["reason"].strip()
