"""Each test of this folder runs for every vendor that planner hands jobs to."""

from __future__ import annotations

from contextlib import ExitStack
from functools import cache
from typing import TYPE_CHECKING

import pytest

from planner.handoff import rehearsal
from tests.answers import NOW
from tests.handoff.contract.cases import VENDORS, Case, named
from tests.handoff.contract.loopback import Said, Script, serving

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from planner.handoff.vendor import BatchVendor


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture(params=VENDORS, ids=named)
def case(request: pytest.FixtureRequest) -> Case:
    found: Case = request.param
    return found


@pytest.fixture
def time() -> rehearsal.clock.Virtual:
    return rehearsal.clock.Virtual(NOW)


@pytest.fixture
def server(time: rehearsal.clock.Virtual) -> Iterator[rehearsal.Server]:
    with rehearsal.Server(clock=time.clock) as made:
        yield made


@pytest.fixture
def vendor(case: Case, server: rehearsal.Server) -> Iterator[BatchVendor]:
    """The vendor with its real library, at the rehearsal server."""
    made = case.batches(server.base_url(case.provider))
    yield made
    made.close()


@pytest.fixture(scope="session")
def _opened() -> Iterator[Callable[[Case], tuple[Script, BatchVendor]]]:
    """One scripted vendor each for all tests: opening a library's client takes its time."""
    with ExitStack() as stack:

        @cache
        def opened(provider: str) -> tuple[Script, BatchVendor]:
            case = next(each for each in VENDORS if each.provider == provider)
            script = stack.enter_context(serving(Script()))
            script.say(case.listing, Said.json(case.empty))
            vendor = case.batches(script.url + case.root)
            stack.callback(vendor.close)
            return script, vendor

        yield lambda case: opened(case.provider)


@pytest.fixture
def script(case: Case, _opened: Callable[[Case], tuple[Script, BatchVendor]]) -> Script:
    """A vendor that says what it is told to; its list is empty."""
    found, _ = _opened(case)
    found.replies.clear()
    found.asked.clear()
    found.say(case.listing, Said.json(case.empty))
    return found


@pytest.fixture
def told(
    case: Case, script: Script, _opened: Callable[[Case], tuple[Script, BatchVendor]]
) -> BatchVendor:
    """The vendor with its real library, at that script."""
    return _opened(case)[1]
