"""policy.yaml: what may leave this machine at all, whatever a plan or a flag says.

A flag is typed in a hurry and a policy is not, so there is none that loosens one: whoever wants
something else changes the file. It stands beside the other settings; without one all is allowed.

Loopback addresses are under the policy like any other; a rehearsal is not, since its rows go
nowhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Annotated, Any, Literal
from urllib.parse import SplitResult, urlsplit

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

from planner import strict_yaml
from planner.catalog.files import settings
from planner.errors import Collector, InputError
from planner.money import Usd, difference, dollars, plus, total

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime
    from pathlib import Path

    from planner.handoff.ledger import Ledger, Spent
    from planner.handoff.vendor import Account

NAME = "policy.yaml"
_PORTS = {"https": 443, "http": 80}


def _bad(message: str, hint: str) -> PydanticCustomError:
    return PydanticCustomError("bad_value", message, {"hint": hint})


def _money(value: Any) -> Usd:
    if isinstance(value, int | Decimal) and not isinstance(value, bool) and value >= 0:
        return Usd(Decimal(value))
    raise _bad(f"not an amount: {value!r}", "give US dollars, such as 25 or 0.85")


def _url(value: Any) -> str:
    parts = _parts(value) if isinstance(value, str) else None
    if parts is None:
        raise _bad(f"not an address: {value!r}", "give it whole, such as https://api.example.com")
    return str(value)


def _parts(url: str) -> SplitResult | None:
    """A web address taken apart; None where it is none."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return None
    return parts if parts.scheme in _PORTS and parts.hostname else None


Words = tuple[Annotated[str, Field(min_length=1)], ...]


class Policy(BaseModel):
    """The file as it stands; a list that is left out allows everything of its kind."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    schema_: Literal["planner.policy/1"] = Field(default="planner.policy/1", alias="schema")
    daily_cap: Annotated[Usd, BeforeValidator(_money)] | None = None
    """US dollars of all jobs together, from midnight to midnight where planner runs."""
    vendors: Words | None = None
    models: Words | None = None
    """Ids, or patterns such as `claude-haiku-*`."""
    regions: Words | None = None
    """A plan must name one of these."""
    base_urls: tuple[Annotated[str, BeforeValidator(_url)], ...] | None = None
    zero_retention_only: bool = False
    """Nothing that the vendor keeps: no lane with results to fetch, and of the others only the
    accounts that `zero_retention_accounts` names."""
    zero_retention_accounts: Words = ()
    """Organisations, workspaces or projects that the vendor has agreed it with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sending:
    """What is about to leave, as a policy judges it."""

    provider: str
    model: str
    region: str | None
    base_url: str
    kept: bool
    """The lane's results stay with the vendor until they are fetched."""
    account: Account | None = None
    """None before the vendor was asked whose the key is: not judged yet."""


def place() -> Path:
    """Where the policy file is, whether or not it is there."""
    return settings() / NAME


def read(path: Path | None = None) -> Policy:
    """The policy of a file (None: the user's own); one that allows all where there is none.

    InputError with every problem at its line: a policy that cannot be read allows nothing.
    """
    path = place() if path is None else path
    if not path.exists():
        return Policy()
    document = strict_yaml.read(path)
    if document.data is None:
        return Policy()
    return strict_yaml.validate(document, Policy)


def check(policy: Policy, sending: Sending) -> None:
    """InputError (exit 2) with everything that the policy forbids of it."""
    found = Collector()
    _place(policy, sending.provider, sending.base_url, found)
    _listed(policy.models, sending.model, "model", found)
    if policy.regions is not None and sending.region not in policy.regions:
        said = sending.region or "no region, so anywhere"
        allowed = ", ".join(policy.regions)
        found.add("policy", f"the plan names {said}; allowed: {allowed}", hint="plan with --region")
    _retention(policy, sending, found)
    _raise(found)


def check_place(policy: Policy, provider: str, base_url: str) -> None:
    """InputError where a vendor, or its address, may not even be asked."""
    found = Collector()
    _place(policy, provider, base_url, found)
    _raise(found)


def check_address(policy: Policy, base_url: str) -> None:
    """InputError where a key may not be shown at an address.

    All that is asked of whoever only brings home, or ends, what was sent when it was allowed.
    """
    found = Collector()
    _address(policy, base_url, found)
    _raise(found)


def _place(policy: Policy, provider: str, base_url: str, found: Collector) -> None:
    _listed(policy.vendors, provider, "vendor", found)
    _address(policy, base_url, found)


def _address(policy: Policy, base_url: str, found: Collector) -> None:
    allowed = policy.base_urls
    if allowed is not None and not any(within(base_url, each) for each in allowed):
        found.add("policy", f"address {base_url}; allowed: {', '.join(allowed) or 'none'}")


def _listed(allowed: Words | None, name: str, what: str, found: Collector) -> None:
    if allowed is None or any(fnmatchcase(name, each) for each in allowed):
        return
    found.add("policy", f"{what} {name}; allowed: {', '.join(allowed) or 'none'}")


def _retention(policy: Policy, sending: Sending, found: Collector) -> None:
    if not policy.zero_retention_only:
        return
    if sending.kept:
        found.add(
            "policy",
            "the vendor keeps the answers of this lane until they are fetched and after; only "
            "lanes without retention are allowed",
            hint="--choose a lane whose answers come back at once",
        )
    account = sending.account
    if account is None:
        return
    names = {account.organization, account.workspace, account.project} - {None}
    if not names & set(policy.zero_retention_accounts):
        found.add(
            "policy",
            f"zero retention is not known for account {', '.join(sorted(map(str, names))) or '?'}",
            hint="list it under zero_retention_accounts once the vendor has agreed to it",
        )


def _raise(found: Collector) -> None:
    """Every problem, each with the file that decides it."""
    where = Collector()
    for each in found.problems:
        hint = each.hint or "no flag changes a policy; the file does"
        where.add(each.code, f"forbidden: {each.message}", where=str(place()), hint=hint)
    where.raise_if_any()


def within(url: str, allowed: str) -> bool:
    """Whether an address is an allowed one or below it: same scheme, host and port."""
    one, other = _parts(url), _parts(allowed)
    if one is None or other is None:
        return False
    if (one.scheme, one.hostname, _port(one)) != (other.scheme, other.hostname, _port(other)):
        return False
    below = other.path.rstrip("/")
    return one.path == below or one.path.startswith(f"{below}/") or not below


def _port(parts: SplitResult) -> int:
    return parts.port or _PORTS[parts.scheme]


# --- the day's money --------------------------------------------------------------------


def day_start(now: datetime) -> datetime:
    """Midnight before `now`, where planner runs."""
    return now.replace(hour=0, minute=0, second=0, microsecond=0)


def room(policy: Policy, ledger: Ledger, now: datetime) -> Usd | None:
    """US dollars that may still be put at risk today; None: no cap. Negative when overdrawn."""
    if policy.daily_cap is None:
        return None
    return difference(policy.daily_cap, _today(ledger.spent(day_start(now))))


def _today(spent: Iterable[Spent]) -> Usd:
    return total(plus(each.billed, each.in_flight) for each in spent)


def check_day(policy: Policy, ledger: Ledger, now: datetime, wanted: Usd) -> None:
    """InputError where `wanted` more dollars do not fit under the day's cap."""
    left = room(policy, ledger, now)
    if left is None or wanted <= left:
        return
    assert policy.daily_cap is not None
    raise InputError.of(
        "daily-cap",
        f"{dollars(wanted)} more is over the daily cap of {dollars(policy.daily_cap)}: "
        f"{dollars(max(left, Usd(Decimal(0))))} is left today",
        where=str(place()),
        hint="resume tomorrow, or change the file; no flag changes a policy",
    )
