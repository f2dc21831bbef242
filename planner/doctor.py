"""What a hand-off stands on, looked at without touching anything: `planner doctor`.

Each finding is a fact with a grade, so that both faces and a script read the same. Nothing is
asked of a vendor: whether a key works is seen when it is used, and a check that spends a call
would be one more thing that may go wrong.
"""

from __future__ import annotations

import os
import platform
import shutil
import sqlite3
import sys
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Final, Literal

from planner import __version__
from planner.catalog.files import own_folder, settings
from planner.catalog.freshness import freshness
from planner.errors import PlannerError
from planner.handoff import home, keys, policy, states
from planner.handoff.ledger import Ledger
from planner.handoff.providers import vendors, wire
from planner.money import dollars
from planner.words import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime
    from pathlib import Path

    from planner.catalog import Catalog

Grade = Literal["ok", "note", "wrong"]

LIBRARIES: Final = ("keyring", "textual", "pydantic", "tiktoken")
LEAST_FREE: Final = 1_000_000_000
"""Bytes of disk below which a large job may not fit."""
_OTHERS: Final = 0o077


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was looked at."""

    about: str
    grade: Grade
    said: str


def examine(load: Callable[[], Catalog], data: Path, now: datetime) -> tuple[Finding, ...]:
    """Everything, in the order in which one would look; never raises for what it finds."""
    return tuple(
        each
        for part in (
            _program(),
            _settings(),
            _keys(),
            _environment(),
            _policy(),
            _catalog(load, now),
            _data(data),
            _clock(now),
        )
        for each in part
    )


def _ok(about: str, said: str) -> Finding:
    return Finding(about=about, grade="ok", said=said)


def _note(about: str, said: str) -> Finding:
    return Finding(about=about, grade="note", said=said)


def _wrong(about: str, said: str) -> Finding:
    return Finding(about=about, grade="wrong", said=said)


def _refusals(about: str, refused: PlannerError) -> Iterator[Finding]:
    for each in refused.problems:
        where = f" ({each.where})" if each.where else ""
        yield _wrong(about, f"{each.message}{where}")


# --- the program ------------------------------------------------------------------------


def _program() -> Iterator[Finding]:
    python = f"Python {platform.python_version()} on {platform.system()}"
    yield _ok("planner", f"{__version__}, {python}, SQLite {sqlite3.sqlite_version}")
    names = dict.fromkeys((*vendors.BATCHES, *LIBRARIES))
    found = {name: _version(name) for name in names}
    yield _ok("libraries", ", ".join(f"{name} {at}" for name, at in found.items() if at))
    for name in vendors.BATCHES:
        if found[name] is None:
            yield _note(
                "libraries", f"{name} is not installed: nothing can be built for it or sent"
            )


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _settings() -> Iterator[Finding]:
    folder = settings()
    found = sorted(each.name for each in folder.glob("*.yaml")) if folder.is_dir() else []
    own = own_folder()
    prices = sorted(each.name for each in own.glob("*.yaml")) if own.is_dir() else []
    yield _ok("settings", f"{folder}: {', '.join(found) or 'nothing'}")
    if prices:
        yield _ok("prices", f"your own, on top of the shipped ones: {', '.join(prices)} in {own}")


def _keys() -> Iterator[Finding]:
    """Where a key is, and no part of it."""
    for provider in vendors.BATCHES:
        about = vendors.about(provider)
        found = keys.find(provider, about.variables)
        if found is None:
            yield _note("key", f"{about.name}: none in {', '.join(about.variables)} or the keyring")
        else:
            yield _ok("key", f"{about.name}: in {found.found_in}")


def _environment() -> Iterator[Finding]:
    """What steers the vendors' libraries; a proxy's address may hold a password, so no values."""
    for provider in vendors.BATCHES:
        about = vendors.about(provider)
        said = [name for name in about.obeyed if os.environ.get(name)]
        if _version(provider) is None:
            continue
        where = vendors.address(provider)
        more = f" (steered by {', '.join(said)})" if said else ""
        yield Finding(
            about="address", grade="note" if said else "ok", said=f"{about.name}: {where}{more}"
        )
    proxies = [
        name for name in (*wire.PROXIES, *map(str.lower, wire.PROXIES)) if os.environ.get(name)
    ]
    if proxies:
        yield _note("proxy", f"requests go through what {', '.join(proxies)} says")


# --- facts and rules --------------------------------------------------------------------


def _policy() -> Iterator[Finding]:
    place = policy.place()
    if not place.exists():
        yield _ok("policy", f"none ({place}): anything may be sent that is agreed to")
        return
    try:
        rules = policy.read()
    except PlannerError as refused:
        yield from _refusals("policy", refused)
        return
    said = [] if rules.daily_cap is None else [f"{dollars(rules.daily_cap)} a day"]
    for name in ("vendors", "models", "regions", "base_urls"):
        listed = getattr(rules, name)
        if listed is not None:
            said.append(f"{name.replace('_', ' ')}: {', '.join(listed) or 'none'}")
    said += ["zero retention only"] if rules.zero_retention_only else []
    yield _ok("policy", f"{place}: {'; '.join(said) or 'allows everything'}")


def _catalog(load: Callable[[], Catalog], now: datetime) -> Iterator[Finding]:
    try:
        catalog = load()
    except PlannerError as refused:
        yield from _refusals("catalog", refused)
        return
    sources = [each for vendor in catalog.providers for each in vendor.sources.values()]
    age = freshness(sources, on=now.date())
    models = sum(len(vendor.models) for vendor in catalog.providers)
    vendors = counted(len(catalog.providers), "vendor")
    said = f"{vendors}, {counted(models, 'model')}, {catalog.digest[:19]}"
    if age.oldest is not None:
        said += f"; oldest source read {age.oldest.read}, {counted(age.age_days or 0, 'day')} ago"
    old = len(age.warnings) + len(age.refusals)
    if old:
        too = f", {len(age.refusals)} of them too old to plan with" if age.refusals else ""
        yield _note("catalog", f"{said}; {counted(old, 'old source')}{too}: planner prices audit")
    else:
        yield _ok("catalog", said)


# --- what was handed off ----------------------------------------------------------------


def _data(data: Path) -> Iterator[Finding]:
    if not (data / home.LEDGER).exists():
        yield _ok("jobs", f"nothing has been handed off yet ({data})")
        return
    try:
        ledger = Ledger.read_only(data)
    except PlannerError as refused:
        yield from _refusals("ledger", refused)
        return
    assert ledger is not None
    with ledger:
        yield from _ledger(ledger, data)
    yield from _open_to_others(data)
    free = shutil.disk_usage(data).free
    if free < LEAST_FREE:
        yield _note("disk", f"{free / 1e9:.1f} GB are free at {data}")


def _ledger(ledger: Ledger, data: Path) -> Iterator[Finding]:
    faults = ledger.health()
    for each in faults:
        yield _wrong("ledger", each)
    jobs = ledger.jobs()
    if not faults:
        yield _ok("ledger", f"whole; {counted(len(jobs), 'job')} in {data}")
    for job in jobs:
        doubted = [e for e in ledger.attempts(job.id) if e.state in states.IN_DOUBT]
        if doubted:
            yield _wrong(
                "doubt",
                f"job {job.id}: {counted(len(doubted), 'shard')} may have been sent; "
                f"planner resume {job.id} finds out",
            )
        elif job.state == "stopped":
            yield _note("stopped", f"job {job.id}: {job.stopped_because}")


def _open_to_others(data: Path) -> Iterator[Finding]:
    """Files that others on this machine could read."""
    if sys.platform == "win32":
        return
    places = [data, data / home.LEDGER, data / home.JOBS, *(data / home.JOBS).glob("*")]
    for place in places:
        if place.exists() and place.stat().st_mode & _OTHERS:
            yield _wrong("private", f"{place} can be read by others: chmod -R go= {data}")
            return


def _clock(now: datetime) -> Iterator[Finding]:
    zone = now.tzinfo
    named = getattr(zone, "key", None) or now.strftime("%Z %z")
    yield _ok("clock", f"{now.isoformat(timespec='minutes')}, zone {named}")
