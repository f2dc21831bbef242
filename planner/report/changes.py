"""Prices over time: one model's history, and what changed between two days."""

from __future__ import annotations

from typing import TYPE_CHECKING

from planner.money import plain
from planner.report import evidence
from planner.report.evidence import Json, decimals, listed
from planner.report.layout import Column, as_json, table, wrapped
from planner.words import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from datetime import date

    from planner.catalog.changes import Changes, Step
    from planner.catalog.prices import Episode
    from planner.money import Rate

# --- one model's history ----------------------------------------------------------------


def history(episodes: Sequence[Episode]) -> Iterator[str]:
    """One line a stretch of days, the oldest first, called-off changes last."""
    yield "  history:"
    for each in episodes:
        state = "" if each.state is None else f" ({each.state})"
        yield wrapped(listed(each.rates), first=f"    {_stretch(each)}{state}: ", later=" " * 6)
        yield from (wrapped(note, first="      ") for note in each.notes)


def _stretch(episode: Episode) -> str:
    since = "" if episode.since is None else f"from {episode.since}"
    until = "" if episode.until is None else f"until {episode.until}"
    return " ".join(part for part in (since, until) if part) or "always"


def history_data(episodes: Sequence[Episode]) -> list[Json]:
    """The same as data: `until` is the first day no more."""
    return [
        {
            "since": _iso(each.since),
            "until": _iso(each.until),
            "state": each.state,
            "rates": decimals(each.rates),
            "tiers": [
                {"over": tier.edge, "inclusive": tier.inclusive, "rates": decimals(tier.rates)}
                for tier in each.tiers
            ],
            "sources": [source.id for source in each.sources],
            "notes": list(each.notes),
        }
        for each in episodes
    ]


def _iso(day: date | None) -> str | None:
    return None if day is None else day.isoformat()


# --- between two days -------------------------------------------------------------------

COLUMNS = (
    Column(title="day"),
    Column(title="model"),
    Column(title="lane"),
    Column(title="what changes"),
)


def text(found: Changes) -> str:
    """Every change on its day, and what to mind about them."""
    head = f"{found.first} to {found.last}: "
    if not found.steps:
        lines = [f"{head}no change that the catalog knows of"]
    else:
        count = counted(len(found.steps), "change")
        lines = [f"{head}{count}; USD per million tokens", ""]
        lines += table(COLUMNS, (cells(step) for step in found.steps))
    notes = list(warnings(found))
    if notes:
        lines += ["", *(wrapped(note, first="! ", later="  ") for note in notes)]
    return "\n".join(lines) + "\n"


def cells(step: Step) -> tuple[str, ...]:
    """One change as the cells of `COLUMNS`; * marks a promise."""
    day = f"{step.date}{'*' if step.announced else ''}"
    return day, step.model, step.lane or "all lanes", _what(step)


def _what(step: Step) -> str:
    if step.kind in ("released", "retired"):
        return step.kind
    if step.kind == "support":
        return f"support {step.before} -> {step.after}{_new_price(step)}"
    if step.long_prompts:
        return "the price of long prompts"
    before, after = step.rates_before or {}, step.rates_after or {}
    if not after:
        return "no known price any more"
    meters = [meter for meter in dict.fromkeys((*before, *after)) if _moved(step, meter)]
    return ", ".join(
        f"{meter} {_shown(before.get(meter))} -> {_shown(after.get(meter))}" for meter in meters
    )


def _new_price(step: Step) -> str:
    return f", {listed(step.rates_after)}" if step.after == "yes" and step.rates_after else ""


def _moved(step: Step, meter: str) -> bool:
    return (step.rates_before or {}).get(meter) != (step.rates_after or {}).get(meter)


def _shown(rate: Rate | None) -> str:
    return "unknown" if rate is None else plain(rate)


def warnings(found: Changes) -> Iterator[str]:
    """What a comparison of the two days must not be taken for."""
    if any(step.announced for step in found.steps):
        yield (
            "* was announced when its source was read, and announced changes get called off:"
            " read the source again before relying on it (planner prices confirm)"
        )
    if found.unknown_before:
        most = 5
        named = ", ".join(found.unknown_before[:most])
        further = len(found.unknown_before) - most
        more = f" and {further} more" if further > 0 else ""
        yield f"the catalog does not know what these cost on {found.first}: {named}{more}"


def data(found: Changes) -> Json:
    """`planner.changes/1`."""
    return {
        "schema": "planner.changes/1",
        "from": found.first.isoformat(),
        "to": found.last.isoformat(),
        "changes": [_step_data(step) for step in found.steps],
        "unknown_before": list(found.unknown_before),
        "warnings": list(warnings(found)),
    }


def _step_data(step: Step) -> Json:
    return {
        "date": step.date.isoformat(),
        "provider": step.provider,
        "model": step.model,
        "lane": step.lane,
        "kind": step.kind,
        "support": None if step.after is None else {"before": step.before, "after": step.after},
        "rates": {"before": decimals(step.rates_before), "after": decimals(step.rates_after)},
        "announced": step.announced,
        "sources": [evidence.data(source) for source in step.sources],
    }


DIFF: Mapping[str, Callable[[Changes], str]] = {
    "table": text,
    "json": lambda found: as_json(data(found)),
}
