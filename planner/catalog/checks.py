"""What one part of a provider file must say for another part to hold.

These checks read the raw data rather than the validated models, so that a misspelt key in one
place does not hide what is wrong in another: one report has both.
"""

from __future__ import annotations

import re
from datetime import date
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from planner.catalog.facts import EVERY, LIMIT_FIGURES, UNPUBLISHED
from planner.errors import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from planner.strict_yaml import Path_

READ_DAY = re.compile(r"[0-9]{4}-(?:0[1-9]|1[0-2])")
Found = tuple["Path_", str, str, str | None]
"""Path, code, message, hint."""


def _mapping(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _entries(value: object) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def cross_checks(data: object) -> Iterator[Found]:
    """What one part of a file must say for another part to hold.

    Reads the raw data, so that a misspelt key elsewhere does not hide these problems.
    """
    top = _mapping(data)
    sources = frozenset(_mapping(top.get("sources")))
    yield from _source_names(data, sources, ())
    for name in _mapping(top.get("confirmed")):
        if name not in sources:
            hint = did_you_mean(name, sources) or "remove the line: the catalog has no such source"
            yield ("confirmed", name), "unknown-source", f"no source {name!r}", hint
    yield from _lane_checks(top)
    yield from _name_checks(top)
    yield from _alias_checks(top)
    yield from _limit_checks(top)
    for path, prices in _price_lists(top):
        yield from _period_checks(top, path, prices)
    for name, model in _mapping(top.get("models")).items():
        yield from _coverage_checks(top, name, _mapping(model))
        yield from _life_checks(("models", name), _mapping(model))


def _source_names(data: object, known: frozenset[str], path: Path_) -> Iterator[Found]:
    if isinstance(data, dict):
        for key, value in data.items():
            if key == "source" and isinstance(value, str) and value not in known:
                hint = did_you_mean(value, known) or "name an entry of `sources`"
                yield (*path, key), "unknown-source", f"no source {value!r}", hint
            elif isinstance(value, (dict, list)) and path != ("sources",):
                yield from _source_names(value, known, (*path, key))
    elif isinstance(data, list):
        for index, value in enumerate(data):
            yield from _source_names(value, known, (*path, index))


def _lane_checks(top: Mapping[str, Any]) -> Iterator[Found]:
    lanes = {key: _mapping(value) for key, value in _mapping(top.get("lanes")).items()}
    base = [key for key, lane in lanes.items() if lane.get("base") is True]
    if len(base) != 1:
        yield ("lanes",), "base-lane", f"one lane is `base: true`, here {len(base)} are", None
    for key, lane in lanes.items():
        if key in base and "price" in lane:
            yield ("lanes", key, "price"), "base-lane", "the base lane costs the list price", None
        if lane.get("delivery") == "async" and key in base:
            yield ("lanes", key), "base-lane", "the base lane answers at once", "delivery: sync"


def _name_checks(top: Mapping[str, Any]) -> Iterator[Found]:
    """Lanes, models and tiers that are named but not there."""
    lanes, models, tiers = (
        frozenset(_mapping(top.get(key))) for key in ("lanes", "models", "tiers")
    )
    for name, model in _mapping(top.get("models")).items():
        own = _mapping(_mapping(model).get("lanes"))
        yield from _missing(
            own, lanes, "lane", lambda key, name=name: ("models", name, "lanes", key)
        )
    for region, rules in _mapping(top.get("regions")).items():
        for index, rule in enumerate(_entries(rules)):
            at: Path_ = (
                ("regions", region, index) if isinstance(rules, list) else ("regions", region)
            )
            yield from _scope_checks(_mapping(rule), at, models, lanes, "lanes")
    for index, row in enumerate(_entries(top.get("limits"))):
        yield from _scope_checks(_mapping(row), ("limits", index), models, lanes, "lane")
        tier = _mapping(row).get("tier")
        yield from _missing([tier], tiers, "tier", lambda _, i=index: ("limits", i, "tier"))


def _scope_checks(
    row: Mapping[str, Any],
    at: Path_,
    models: frozenset[str],
    lanes: frozenset[str],
    lane_key: str,
) -> Iterator[Found]:
    if row.get("models") != "all":
        named = _entries(row.get("models"))
        yield from _missing(named, models, "model", lambda _: (*at, "models"))
    yield from _missing(_entries(row.get(lane_key)), lanes, "lane", lambda _: (*at, lane_key))


def _missing(named: Any, known: frozenset[str], what: str, at: Any) -> Iterator[Found]:
    for name in named:
        if isinstance(name, str) and name not in known:
            yield at(name), f"unknown-{what}", f"no {what} {name!r}", did_you_mean(name, known)


def _alias_checks(top: Mapping[str, Any]) -> Iterator[Found]:
    models = _mapping(top.get("models"))
    taken = dict.fromkeys(models, "a model id")
    for name, model in models.items():
        for index, alias in enumerate(_entries(_mapping(model).get("aliases"))):
            if alias in taken:
                where = ("models", name, "aliases", index)
                yield where, "alias-taken", f"{alias!r} is already {taken[alias]}", None
            elif isinstance(alias, str):
                taken[alias] = f"an alias of {name}"


def _limit_checks(top: Mapping[str, Any]) -> Iterator[Found]:
    """A figure of a tier, model and lane stands once, so that no order of rows decides."""
    seen: dict[tuple[Any, ...], int] = {}
    for index, row in enumerate(_entries(top.get("limits"))):
        limit = _mapping(row)
        for figure in sorted(limit.keys() & set(LIMIT_FIGURES)):
            for scope in _scopes(top, limit):
                layer = str(limit.get("layer", 0))
                first = seen.setdefault((figure, layer, *scope), index)
                if first != index:
                    message = f"{figure} of {scope[1]} in tier {scope[0]} stands in limits[{first}]"
                    yield ("limits", index, figure), "stated-twice", message, None
                    break


def _scopes(top: Mapping[str, Any], limit: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Tier, model and lane of everything a row speaks of."""
    named = limit.get("models")
    models = list(_mapping(top.get("models"))) if named == "all" else _entries(named)
    for model in models:
        for lane in _entries(limit.get("lane")) or [""]:
            yield str(limit.get("tier")), str(model), str(lane)


def _price_lists(top: Mapping[str, Any]) -> Iterator[tuple[Path_, list[Any]]]:
    """Every list of price periods, the list prices first."""
    for name, model in _mapping(top.get("models")).items():
        yield ("models", name, "prices"), _entries(_mapping(model).get("prices"))
        for lane, offer in _mapping(_mapping(model).get("lanes")).items():
            yield from _own_price(("models", name, "lanes", lane), _mapping(offer))
    for lane, policy in _mapping(top.get("lanes")).items():
        yield from _own_price(("lanes", lane), _mapping(policy))


def _own_price(path: Path_, holder: Mapping[str, Any]) -> Iterator[tuple[Path_, list[Any]]]:
    if "price" in holder:
        yield (*path, "price"), _entries(holder["price"])


def _at(top: Mapping[str, Any], path: Path_, index: int) -> Path_:
    """The path of a period: a single one is written without a list."""
    here: Any = top
    for step in path:
        here = here[step]
    return (*path, index) if isinstance(here, list) else path


def _period_checks(top: Mapping[str, Any], path: Path_, prices: list[Any]) -> Iterator[Found]:
    last: dict[int, Mapping[str, Any]] = {}
    for index, price in enumerate(prices):
        period = _mapping(price)
        at = _at(top, path, index)
        yield from _one_period(top, at, period)
        for count, edge in enumerate(_entries(period.get("over"))):
            yield from _edge_checks((*at, "over", count), _mapping(edge))
        yield from _ascending(at, _entries(period.get("over")))
        if period.get("state") == "cancelled":
            continue
        layer = period.get("layer", 0)
        layer = layer if isinstance(layer, int) else 0
        if layer in last:
            yield from _follows(at, last[layer], period)
        last[layer] = period


def _one_period(top: Mapping[str, Any], at: Path_, period: Mapping[str, Any]) -> Iterator[Found]:
    start, until = period.get("from"), period.get("until")
    if isinstance(start, date) and isinstance(until, date) and start >= until:
        yield (*at, "until"), "empty-period", f"ends {until}, not after its start {start}", None
    state = period.get("state")
    if state is not None and not isinstance(start, date):
        yield (*at, "state"), "no-start", f"{state}, but without `from`", "say from which day"
    read = _read_on(top, period.get("source"))
    if read is None or not isinstance(start, date) or state == "cancelled":
        return
    if start > read and state != "announced":
        hint = "add `state: announced`, or name a source read since"
        yield (*at, "from"), "not-announced", f"begins {start}, after its source was read", hint
    if start <= read and state == "announced":
        hint = "remove `state: announced`"
        yield (*at, "state"), "already-begun", f"began {start}, before its source was read", hint


def _read_on(top: Mapping[str, Any], source: object) -> date | None:
    if not isinstance(source, str):
        return None
    read = _mapping(_mapping(top.get("sources")).get(source)).get("read")
    if isinstance(read, str) and READ_DAY.fullmatch(read):
        return date.fromisoformat(f"{read}-01")
    return read if isinstance(read, date) else None


def _follows(at: Path_, previous: Mapping[str, Any], period: Mapping[str, Any]) -> Iterator[Found]:
    start, until, before = period.get("from"), previous.get("until"), previous.get("from")
    if not isinstance(start, date):
        yield at, "overlap", "overlaps the period before it", "say `from` which day it holds"
    elif isinstance(until, date) and until > start:
        message = f"begins {start}, but the period before it runs until {until}"
        yield (*at, "from"), "overlap", message, "periods may not overlap"
    elif isinstance(before, date) and before >= start:
        message = f"begins {start}, not after the period before it ({before})"
        yield (*at, "from"), "overlap", message, "write periods in order"


def _edge_checks(at: Path_, edge: Mapping[str, Any]) -> Iterator[Found]:
    if ("prompt_gt" in edge) == ("prompt_ge" in edge):
        hint = "prompt_gt where the edge itself is still the lower price, prompt_ge where not"
        yield at, "edge", "an edge is either prompt_gt or prompt_ge", hint
    if "multiply" not in edge and "rates" not in edge:
        yield at, "no-price", "an edge needs `multiply` or `rates`", None


def _ascending(at: Path_, edges: list[Any]) -> Iterator[Found]:
    keys = [_edge_key(_mapping(edge)) for edge in edges]
    for index, (low, high) in enumerate(pairwise(keys), start=1):
        if low is not None and high is not None and low >= high:
            yield (*at, "over", index), "edge-order", "edges must ascend", None


def _edge_key(edge: Mapping[str, Any]) -> int | None:
    """The first prompt length that is priced by the edge."""
    above, reached = edge.get("prompt_gt"), edge.get("prompt_ge")
    if type(above) is int:
        return above + 1
    return reached if type(reached) is int else None


def _coverage_checks(
    top: Mapping[str, Any], name: str, model: Mapping[str, Any]
) -> Iterator[Found]:
    """Every meter of the list has a rate, or `unpublished`, in each tier and lane of the model."""
    prices = [_mapping(price) for price in _entries(model.get("prices"))]
    meters = frozenset(meter for price in prices for meter in _mapping(price.get("rates")))
    tiered = any(_entries(price.get("over")) for price in prices)
    for index, price in enumerate(prices):
        for count, edge in enumerate(_entries(price.get("over"))):
            own = frozenset(_mapping(price.get("rates")))
            at: Path_ = ("models", name, "prices", index, "over", count)
            yield from _uncovered(at, _mapping(edge), own)
    for lane, policy in _mapping(top.get("lanes")).items():
        at, lane_prices = _price_in_lane(name, model, lane, _mapping(policy))
        for index, price in enumerate(_entries(lane_prices)):
            where = (*at, index) if at[-1] == "price" and isinstance(lane_prices, list) else at
            yield from _lane_price_checks(where, _mapping(price), meters, tiered=tiered)


def _price_in_lane(
    name: str, model: Mapping[str, Any], lane: str, policy: Mapping[str, Any]
) -> tuple[Path_, Any]:
    """Where the price of a model in a lane stands, and what stands there (None: nowhere)."""
    offer = _mapping(model.get("lanes")).get(lane)
    at: Path_ = ("models", name) if offer is None else ("models", name, "lanes", lane)
    if "price" in _mapping(offer):
        return (*at, "price"), _mapping(offer)["price"]
    offered = _mapping(offer).get("support", policy.get("models") == "all")
    return at, policy.get("price") if offered is True else None


def _lane_price_checks(
    at: Path_, price: Mapping[str, Any], meters: frozenset[str], *, tiered: bool
) -> Iterator[Found]:
    if "multiply" not in price and "rates" not in price:
        yield at, "no-price", "a lane's price needs `multiply` or `rates`", None
        return
    yield from _uncovered(at, price, meters)
    if tiered and "rates" in price and "over" not in price:
        hint = "give the lane's own `over`; [] where the vendor publishes none"
        yield at, "no-tiers", "rates of its own, but the list has tiers", hint
    for count, edge in enumerate(_entries(price.get("over"))):
        yield from _uncovered((*at, "over", count), _mapping(edge), meters)


def _uncovered(at: Path_, price: Mapping[str, Any], meters: frozenset[str]) -> Iterator[Found]:
    factors = price.get("multiply")
    named = set(_mapping(price.get("rates")))
    if factors is not None:
        named |= set(factors) if isinstance(factors, dict) else {EVERY}
    without = sorted(meters - named)
    if EVERY not in named and without:
        hint = f'give "{EVERY}", a rate, or `{UNPUBLISHED}`'
        yield at, "meter-without-rate", f"no rate for {', '.join(without)}", hint


def _life_checks(at: Path_, model: Mapping[str, Any]) -> Iterator[Found]:
    seen: dict[str, date] = {}
    for index, entry in enumerate(_entries(model.get("lifecycle"))):
        for key in ("released", "retires", "retires_not_before"):
            value = _mapping(entry).get(key)
            if isinstance(value, date) and seen.setdefault(key, value) != value:
                where = (*at, "lifecycle", index, key)
                yield where, "contradiction", f"{key} is {seen[key]} above", None
    floor = seen.get("retires_not_before")
    if "retires" in seen and floor is not None and seen["retires"] < floor:
        yield (*at, "lifecycle"), "contradiction", "retires before its floor", None
