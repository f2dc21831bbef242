"""Compare every price of the catalog with the data that litellm and genai-prices package.

For development only (`make audit` fetches both). The packages are read as data out of their
wheels: nothing of them is imported or installed. Each price that a dataset states is compared at
the prompt lengths where it states one, and just below each edge. A difference is accepted only as
the exact line in audit/accepted.yaml, under its reason; any other fails, and so does an accepted
line that no longer happens.

What is guarded against: data older than the version that this comparison was made with (upload
order is not data order), names that only begin alike (exact ids), values that a dataset's code
would fall back to or derive (only literal fields are read), and binary noise of floats.
"""

from __future__ import annotations

import argparse
import ast
import json
import re
import sys
import zipfile
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Context, Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from planner import catalog, strict_yaml
from planner.catalog import Catalog, Model, prices
from planner.errors import UnknownFactError
from planner.money import plain

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).resolve().parent
SETTINGS = HERE / "audit" / "datasets.yaml"
ACCEPTED = HERE / "audit" / "accepted.yaml"
MILLION = 1_000_000
FLOAT_DIGITS = Context(prec=9)
"""More digits than any price has, fewer than the noise of a float per token."""


@dataclass(frozen=True)
class Stated:
    """One price that a dataset states: US dollars per million, from a prompt length on."""

    lane: str
    meter: str
    above: int
    """The dataset's edge; 0 for the price without one."""
    value: Decimal


@dataclass(frozen=True)
class Compared:
    """Counts and the lines of all differences of one dataset."""

    equal: int
    models: int
    absent: tuple[str, ...]
    differences: tuple[str, ...]


# --- litellm: one JSON object, US dollars per token ---------------------------------------

LITELLM_FILE = "litellm/model_prices_and_context_window_backup.json"
LITELLM_FIELD = re.compile(
    r"(?P<meter>input_cost_per_token|output_cost_per_token|cache_read_input_token_cost"
    r"|cache_creation_input_token_cost)(?:_above_(?P<life>1|12)hr)?(?:_above_(?P<edge>\d+)k_tokens)?"
    r"(?:_(?P<lane>batches|flex|priority|ultrafast))?"
)
LITELLM_METERS = {
    "input_cost_per_token": "input",
    "output_cost_per_token": "output",
    "cache_read_input_token_cost": "cache_read",
}


class Litellm:
    """Prices as litellm packages them."""

    def __init__(self, wheel: zipfile.ZipFile, rules: dict[str, Any]) -> None:
        self.rules = rules["providers"]
        self.data = json.loads(wheel.read(LITELLM_FILE), parse_float=Decimal)

    def entry(self, model: Model, name: str) -> Any:
        """What it holds of a model by that exact key and of that vendor, else None."""
        rule = self.rules[model.provider]
        found = [self.data.get(key) for key in (f"{rule.get('prefix', '')}{name}", name)]
        own = (each for each in found if each and each["litellm_provider"] in rule["named"])
        return next(own, None)

    def stated(self, model: Model, entry: Any, on: date) -> Iterator[Stated]:
        """Every price in its fields; it has no dates."""
        del on
        rule = self.rules[model.provider]
        for field, value in entry.items():
            found = LITELLM_FIELD.fullmatch(field)
            if found is None or not isinstance(value, int | Decimal) or not value:
                continue
            lane = rule["lanes"].get(found["lane"]) if found["lane"] else model.lanes[0]
            if lane is None:
                continue
            life = found["life"]
            meter = LITELLM_METERS.get(found["meter"], rule["cache_write"])
            per_million = FLOAT_DIGITS.multiply(Decimal(value), MILLION)
            yield Stated(
                lane=lane,
                meter=f"cache_write_{life}h" if life else meter,
                above=int(found["edge"] or 0) * 1000,
                value=per_million,
            )


# --- genai-prices: Python constructors, read as a syntax tree -----------------------------

GENAI_FILE = "genai_prices/data.py"
GENAI_METERS = {
    "input_mtok": "input",
    "output_mtok": "output",
    "cache_read_mtok": "cache_read",
    "cache_write_1h_mtok": "cache_write_1h",
}


@dataclass(frozen=True)
class Made:
    """A constructor call: its name and its arguments, never called."""

    name: str
    given: dict[str, Any]
    values: tuple[Any, ...]


def plain_data(node: ast.expr) -> Any:
    """The value of literals and constructor calls; anything else is refused."""
    match node:
        case ast.Constant(value=value):
            return value
        case ast.List(elts=parts) | ast.Tuple(elts=parts):
            return [plain_data(each) for each in parts]
        case ast.Dict(keys=keys, values=values):
            pairs = zip(keys, values, strict=True)
            return {plain_data(key): plain_data(value) for key, value in pairs if key is not None}
        case ast.Attribute(attr=name):
            return name
        case ast.Call():
            return made(node)
    message = f"{GENAI_FILE}:{node.lineno}: not plain data: {ast.unparse(node)}"
    raise SystemExit(message)


def made(call: ast.Call) -> Any:
    """A constructor call as data; decimals and days as what they are."""
    func = call.func
    name = func.attr if isinstance(func, ast.Attribute) else ast.unparse(func)
    values = tuple(plain_data(each) for each in call.args)
    if name == "Decimal":
        return Decimal(values[0])
    if name == "date":
        return date(*values)
    return Made(name, {each.arg or "": plain_data(each.value) for each in call.keywords}, values)


class GenaiPrices:
    """Prices as genai-prices packages them."""

    def __init__(self, wheel: zipfile.ZipFile, rules: dict[str, Any]) -> None:
        self.rules = rules["providers"]
        tree = ast.parse(wheel.read(GENAI_FILE))
        listed = next(each.value for each in tree.body if isinstance(each, ast.AnnAssign))
        assert listed is not None
        self.data = {
            provider.given["id"]: {
                model.given["id"]: model.given for model in provider.given["models"]
            }
            for provider in plain_data(listed)
        }

    def entry(self, model: Model, name: str) -> Any:
        """What it holds of a model by that exact id, else None; its matching is by prefix."""
        rule = self.rules.get(model.provider)
        return rule and self.data[rule["named"][0]].get(name)

    def stated(self, model: Model, entry: Any, on: date) -> Iterator[Stated]:
        """Every price in force on that day; what a variant leaves out is not stated."""
        rule = self.rules[model.provider]
        base = model.lanes[0]
        listed = entry.get("prices", [])
        if isinstance(listed, Made):
            yield from self._of(listed, base, rule)
            listed = []
        active = [each for each in listed if begun(each.given.get("constraint"), on)]
        timed = [each for each in active if is_hours(each)]
        always = [each for each in active if not is_hours(each)]
        if timed:
            yield from self._of(timed[-1].given["prices"], rule["hours"]["within"], rule)
        if always:
            lane = rule["hours"]["otherwise"] if timed else base
            yield from self._of(always[-1].given["prices"], lane, rule)
        yield from self._variants(entry, rule, on)

    def _variants(self, entry: Any, rule: dict[str, Any], on: date) -> Iterator[Stated]:
        seen: set[tuple[str, str, int]] = set()
        for variant in entry.get("price_variants") or ():
            when = ",".join(f"{key}={value}" for key, value in variant.given["when"].items())
            if when in rule["lanes"] and begun(variant.given.get("constraint"), on):
                for each in self._of(variant.given["prices"], rule["lanes"][when], rule):
                    if (each.lane, each.meter, each.above) not in seen:
                        seen.add((each.lane, each.meter, each.above))
                        yield each

    def _of(self, price: Made, lane: str, rule: dict[str, Any]) -> Iterator[Stated]:
        for key, value in price.given.items():
            meter = rule["cache_write"] if key == "cache_write_mtok" else GENAI_METERS.get(key)
            if meter is None or value is None:
                continue
            if isinstance(value, Decimal):
                yield Stated(lane, meter, 0, value)
                continue
            yield Stated(lane, meter, 0, value.given["base"])
            for tier in value.given["tiers"]:
                yield Stated(lane, meter, tier.given["start"], tier.given["price"])


def begun(constraint: Made | None, on: date) -> bool:
    """Whether a price's start date has come; hours of the day always have."""
    return constraint is None or constraint.given.get("start_date", on) <= on


def is_hours(price: Made) -> bool:
    """Whether a price holds at hours of the day only."""
    constraint = price.given.get("constraint")
    return constraint is not None and "start_time" in constraint.given


# --- comparing ----------------------------------------------------------------------------

DATASETS = {"litellm": Litellm, "genai-prices": GenaiPrices}


def compare(ours: Catalog, theirs: Any, names: dict[str, str], on: date) -> Compared:
    """Every price that the dataset states of our models; of a retired one, as it ended."""
    equal, seen, absent, differences = 0, 0, [], []
    for model in ours.models():
        full = f"{model.provider}/{model.id}"
        strip = theirs.rules.get(model.provider, {}).get("strip", "")
        entry = theirs.entry(model, names.get(full, model.id.removeprefix(strip)))
        if entry is None:
            absent.append(full)
            continue
        seen += 1
        day = on if model.retires is None else min(on, model.retires - timedelta(days=1))
        for point in points(theirs.stated(model, entry, day)):
            mine = our_price(ours, model, point, day)
            if mine == plain(point.value):
                equal += 1
            else:
                differences.append(f"{full} {told(point)}: {plain(point.value)}, ours {mine}")
    return Compared(equal, seen, tuple(absent), tuple(dict.fromkeys(differences)))


def points(stated: Iterator[Stated]) -> Iterator[Stated]:
    """Each price just above its edge, and what holds below the edge just before it."""
    every = list(stated)
    for each in every:
        yield Stated(each.lane, each.meter, each.above + 1 if each.above else 1, each.value)
        below = [
            other
            for other in every
            if (other.lane, other.meter) == (each.lane, each.meter) and other.above < each.above
        ]
        if below:
            under = max(below, key=lambda other: other.above)
            yield Stated(each.lane, each.meter, each.above, under.value)


def told(point: Stated) -> str:
    """The question in a line."""
    at = f" at {point.above}" if point.above > 1 else ""
    return f"{point.lane} {point.meter}{at}"


def our_price(ours: Catalog, model: Model, point: Stated, on: date) -> str:
    """The catalog's answer, or the code of why there is none."""
    try:
        card = prices.card(ours, model, point.lane, on=on)
        return plain(card.rate(point.meter, point.above))
    except UnknownFactError as unknown:
        return unknown.problems[0].code


def opened(folder: Path, package: str, least: str) -> zipfile.ZipFile:
    """The package's wheel; refused where it is older than the comparison was made with."""
    stem = package.replace("-", "_")
    found = sorted(folder.glob(f"{stem}-*.whl"), key=version)
    if not found:
        message = f"no {stem}-*.whl in {folder}: run make audit"
        raise SystemExit(message)
    if version(found[-1]) < version_of(least):
        message = f"{found[-1].name} is older than {least}, which the accepted list was made with"
        raise SystemExit(message)
    return zipfile.ZipFile(found[-1])


def version(wheel: Path) -> tuple[int, ...]:
    """The version in a wheel's name, to be compared as numbers."""
    return version_of(wheel.name.split("-")[1])


def version_of(text: str) -> tuple[int, ...]:
    """1.109.1 comes after 1.108.11."""
    return tuple(int(part) for part in re.findall(r"\d+", text)[:3])


def accepted(path: Path) -> dict[str, dict[str, str]]:
    """Dataset -> accepted line -> its reason."""
    lines: dict[str, dict[str, str]] = {name: {} for name in DATASETS}
    for group in strict_yaml.read(path).data:
        for line in group["differences"]:
            if line in lines[group["dataset"]]:
                message = f"{path.name}: accepted twice: {line}"
                raise SystemExit(message)
            lines[group["dataset"]][line] = group["reason"]
    return lines


def report(name: str, found: Compared, known: dict[str, str]) -> bool:
    """Print one dataset's result; whether every difference is explained and happens."""
    new = [line for line in found.differences if line not in known]
    unused = [line for line in known if line not in found.differences]
    explained = len(found.differences) - len(new)
    print(f"{name}: {found.equal} prices of {found.models} models are equal, ", end="")
    print(f"{explained} differ for a known reason, {len(new)} for none")
    print(f"  not in it: {', '.join(found.absent) or 'none'}")
    for reason in dict.fromkeys(known.values()):
        lines = [line for line in found.differences if known.get(line) == reason]
        print(f"  accepted, {len(lines)}: {reason}")
    for line in new:
        print(f"! differs: {line}")
    for line in unused:
        print(f"! accepted, but does not happen any more: {line}")
    return not new and not unused


def main() -> int:
    """Compare both; exit 1 where a difference has no reason or a reason no difference."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="where the packages' wheels are")
    parser.add_argument("--as-of", type=date.fromisoformat, required=True, metavar="DATE")
    arguments = parser.parse_args()
    settings = strict_yaml.read(SETTINGS).data
    known = accepted(ACCEPTED)
    ours = catalog.load()
    fine = True
    for name, dataset in DATASETS.items():
        rules = settings[name]
        with opened(arguments.folder, rules["package"], rules["least"]) as wheel:
            found = compare(ours, dataset(wheel, rules), rules["models"], arguments.as_of)
        fine &= report(name, found, known[name])
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main())
