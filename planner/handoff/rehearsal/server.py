"""The server: both protocols on one loopback port, faults, and a record of what was sent.

State lives in the object and outlives its clients, so that a client can be killed and resumed
against the same vendor. A process of its own was rejected: a test could not ask it afterwards
how often a row was paid.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import tempfile
import threading
from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Self

from planner.handoff.rehearsal import edits
from planner.handoff.rehearsal.anthropic_protocol import Anthropic
from planner.handoff.rehearsal.faults import BEFORE, Fault, Script
from planner.handoff.rehearsal.http import Connections, Lost, Reply
from planner.handoff.rehearsal.laws import Answers, Billed, Latency, steady
from planner.handoff.rehearsal.limits import Realtime
from planner.handoff.rehearsal.openai_protocol import OpenAI
from planner.handoff.rehearsal.protocol import Call, Speaker, VendorError
from planner.handoff.rehearsal.spool import Spool
from planner.handoff.rehearsal.world import Habits, World, stand

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Collection, Mapping
    from datetime import datetime

    from planner.handoff.clock import Clock
    from planner.handoff.rehearsal.http import Outcome, Peer, Request
    from planner.handoff.rehearsal.laws import Draw, Pace
    from planner.handoff.rehearsal.limits import Meter

HABITS: Mapping[str, Habits] = {
    "anthropic": Habits(poll_after=10),
    "openai": Habits(
        batch_rows=50_000,
        batch_bytes=200_000_000,
        creates_per_hour=2_000,
        keeps_results=timedelta(days=30),
        checks_later=True,
    ),
}
"""What each vendor documents."""

PREFIXES = {"anthropic": "/anthropic", "openai": "/openai"}
BASES = {"anthropic": "/anthropic", "openai": "/openai/v1"}
TENANT = "org-rehearsal"

READ_LIMIT = 1024 * 1024
START_SECONDS = 30
BACKLOG = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """One request that reached the server."""

    route: str
    at: datetime
    sha256: str
    size: int
    faults: tuple[str, ...]
    status: int | None
    """None: no reply was sent."""
    made: str | None
    """What it made: a file, a batch."""


@dataclass(slots=True)
class Record:
    """Everything that was sent, in its order."""

    sent: list[Sent] = field(default_factory=list)
    creating: int = 0
    most_creating: int = 0
    """How many creates were in flight at once, at most."""

    def calls(self, route: str) -> list[Sent]:
        """Requests to one route."""
        return [each for each in self.sent if each.route == route]


@dataclass(frozen=True, slots=True, kw_only=True)
class Conduct:
    """How the rehearsed vendors behave when nothing goes wrong."""

    answers: Answers = field(default_factory=Answers)
    turnaround: Callable[[Draw], Pace] = field(default_factory=steady)
    habits: Mapping[str, Habits] = field(default_factory=dict)
    """By provider, in place of what it documents."""
    limits: Mapping[Meter, int] = field(default_factory=dict)
    """Of the realtime endpoints, a minute and model."""
    latency: Latency = field(default_factory=Latency)
    tenants: Mapping[str, str] = field(default_factory=dict)
    """Key -> `organisation` or `organisation/workspace`; other keys share one organisation."""


class Server:
    """Both vendors on loopback while the `with` block lasts."""

    def __init__(
        self,
        *,
        clock: Clock,
        seed: int = 0,
        faults: Collection[Fault] = (),
        conduct: Conduct | None = None,
        folder: Path | None = None,
        port: int = 0,
    ) -> None:
        self.clock = clock
        self.seed = seed
        self.script = Script(faults, seed)
        self.record = Record()
        self.conduct = conduct or Conduct()
        self.port = port
        self.speakers: dict[str, Speaker] = {
            each.provider: each(clock) for each in (Anthropic, OpenAI)
        }
        self._parent = folder
        self._overdue: list[tuple[datetime, Speaker, Call]] = []

    # --- life ---------------------------------------------------------------------------

    def __enter__(self) -> Self:
        """Serve from a thread of its own."""
        self._open()
        self._ready = threading.Event()
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._serve()), name="rehearsal", daemon=True
        )
        self._thread.start()
        assert self._ready.wait(START_SECONDS), "the rehearsal server did not start"
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()
        self._temporary.cleanup()

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        async with self._listening():
            self._ready.set()
            await self._stop.wait()

    @contextlib.asynccontextmanager
    async def here(self) -> AsyncIterator[Self]:
        """Serve from the running event loop, as a `Jumping` clock asks for."""
        self._open()
        try:
            async with self._listening():
                yield self
        finally:
            self._temporary.cleanup()

    def _open(self) -> None:
        self._temporary = tempfile.TemporaryDirectory(prefix="rehearsal-", dir=self._parent)
        self.spool = Spool(Path(self._temporary.name))
        self._connections = Connections(self._answer, self.spool, self.clock.now)

    @contextlib.asynccontextmanager
    async def _listening(self) -> AsyncIterator[None]:
        server = await asyncio.start_server(
            self._connections.serve, "127.0.0.1", self.port, limit=READ_LIMIT, backlog=BACKLOG
        )
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield
        finally:
            server.close()
            await self._connections.close()
            await server.wait_closed()

    def base_url(self, provider: str) -> str:
        """Where a client of this vendor finds it."""
        return f"http://127.0.0.1:{self.port}{BASES[provider]}"

    # --- requests -----------------------------------------------------------------------

    async def _answer(self, request: Request, peer: Peer) -> Outcome:
        provider = next((key for key, each in PREFIXES.items() if _under(request, each)), None)
        if provider is None:
            return Reply(404, b"no vendor here", {"content-type": "text/plain"})
        speaker = self.speakers[provider]
        path = request.path.removeprefix(PREFIXES[provider])
        name, ids = speaker.route(request.method, path)
        route = f"{provider}.{name or 'unknown'}"
        faults = self.script.met(route)
        await self._catch_up()
        call = self._call(speaker, request, name, ids)
        creating = name == "batches.create"
        self._creating(creating)
        try:
            outcome = await self._played(speaker, call, faults, peer)
        finally:
            self._creating(-creating)
        self._note(route, call, faults, outcome)
        return outcome

    def _creating(self, more: int) -> None:
        self.record.creating += more
        self.record.most_creating = max(self.record.most_creating, self.record.creating)

    def _call(self, speaker: Speaker, request: Request, name: str, ids: tuple[str, ...]) -> Call:
        key = _key(request)
        tenant = self.conduct.tenants.get(key, TENANT)
        world = self._world(speaker, tenant)
        number = len(self.record.sent) + 1
        return Call(
            request=request,
            route=name,
            ids=ids,
            world=world,
            now=self.clock.now(),
            request_id=world.name("req_01", number, self.script.calls.total()),
        )

    def _world(self, speaker: Speaker, tenant: str) -> World:
        if tenant not in speaker.worlds:
            speaker.worlds[tenant] = World(
                provider=speaker.provider,
                tenant=tenant,
                seed=self.seed,
                spool=self.spool,
                habits={**HABITS, **self.conduct.habits}[speaker.provider],
                answers=self.conduct.answers,
                turnaround=self.conduct.turnaround,
                realtime=Realtime(limits=self.conduct.limits, latency=self.conduct.latency),
            )
        return speaker.worlds[tenant]

    async def _played(
        self, speaker: Speaker, call: Call, faults: tuple[Fault, ...], peer: Peer
    ) -> Outcome:
        """Faults that come before, the call itself, faults that come after."""
        for fault in faults:
            if fault.kind in BEFORE:
                return edits.before(fault, speaker, call)
            if fault.kind == "late":
                return await self._late(speaker, call, fault, peer)
        reply = await self._real(speaker, call)
        outcome: Outcome = reply
        for fault in faults:
            if fault.kind == "slow":
                await asyncio.sleep(fault.seconds)
            outcome = edits.after(fault, speaker, call, reply) or outcome
        return outcome

    async def _late(self, speaker: Speaker, call: Call, fault: Fault, peer: Peer) -> Lost:
        """Hold the connection; the request is done before anything that comes after its time."""
        call.now += timedelta(seconds=fault.after)
        self._overdue.append((call.now, speaker, call))
        await peer.gone()
        await self._catch_up()
        return Lost()

    async def _catch_up(self) -> None:
        """Do what is overdue, each thing once, at its own time."""
        due = [each for each in self._overdue if each[0] <= self.clock.now()]
        self._overdue = [each for each in self._overdue if each not in due]
        for _, speaker, call in due:
            await self._real(speaker, call)

    async def _real(self, speaker: Speaker, call: Call) -> Reply:
        if not _key(call.request):
            error = VendorError(401, "authentication_error", "invalid api key")
            reply = speaker.error(error, call.request_id)
            reply.headers |= speaker.headers(call)
            return reply
        if not call.route:
            error = VendorError(404, "not_found_error", f"Not found: {call.request.path}")
            reply = speaker.error(error, call.request_id)
            reply.headers |= speaker.headers(call)
            return reply
        return await speaker.answer(call)

    def _note(self, route: str, call: Call, faults: tuple[Fault, ...], outcome: Outcome) -> None:
        self.record.sent.append(
            Sent(
                route=route,
                at=call.now,
                sha256=call.request.sha256,
                size=call.request.size,
                faults=tuple(each.kind for each in faults),
                status=outcome.status if isinstance(outcome, Reply) else None,
                made=call.made,
            )
        )

    # --- what a test asks ---------------------------------------------------------------

    def worlds(self, provider: str) -> list[World]:
        """Accounts of a vendor that have been used."""
        return list(self.speakers[provider].worlds.values())

    def paid(self, provider: str) -> Counter[str]:
        """How many paid batches exist, by the sha256 of the shard they were made of."""
        return Counter(
            batch.sha256
            for world in self.worlds(provider)
            for batch in world.batches.values()
            if not batch.sheet.problems
        )

    def answered(self, provider: str) -> Counter[str]:
        """How often each row has had its turn in a batch, up to now, by custom_id."""
        now = self.clock.now()
        found: Counter[str] = Counter()
        for world in self.worlds(provider):
            for batch in world.batches.values():
                done = batch.order(self.seed)[: stand(batch, now).done]
                found.update(json.loads(raw)["custom_id"] for _, raw in batch.sheet.rows.each(done))
        return found

    def billed(self, provider: str) -> Billed:
        """Tokens of all realtime answers, and of batches whose results were asked for."""
        total = Billed()
        for world in self.worlds(provider):
            total.join(world.realtime.billed)
            for batch in world.batches.values():
                total.join(batch.made.get("billed") or Billed())
        return total


def _under(request: Request, prefix: str) -> bool:
    return request.path.startswith(prefix + "/")


def _key(request: Request) -> str:
    """The key that a request shows; empty: none."""
    bearer = request.headers.get("authorization", "").removeprefix("Bearer").strip()
    return bearer or request.headers.get("x-api-key", "")
