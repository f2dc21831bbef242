"""What both protocols share: routes, the account behind a key, rows and their results.

A protocol turns a request into a reply in its vendor's words; everything that is true of any
batch vendor stands here or in the world. One protocol with switches was rejected: the point of a
second is that it differs where one would not think of it.
"""

from __future__ import annotations

import asyncio
import re
from abc import ABC, abstractmethod
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from planner.handoff.rehearsal import schemas
from planner.handoff.rehearsal.laws import key_of
from planner.handoff.rehearsal.world import characters, stand

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from planner.handoff.clock import Clock
    from planner.handoff.rehearsal.faults import Fault
    from planner.handoff.rehearsal.http import Reply, Request
    from planner.handoff.rehearsal.laws import Answer
    from planner.handoff.rehearsal.limits import Limited, Meter
    from planner.handoff.rehearsal.world import Batch, World

CUSTOM_ID = re.compile(r"[a-zA-Z0-9_-]{1,64}")


class VendorError(Exception):
    """The vendor says no, in its own envelope."""

    def __init__(
        self, status: int, kind: str, message: str, *, code: str | None = None, **more: Any
    ) -> None:
        super().__init__(message)
        self.status = status
        self.kind = kind
        self.message = message
        self.code = code
        self.more = more


@dataclass(slots=True, kw_only=True)
class Call:
    """A request as a protocol sees it."""

    request: Request
    route: str
    ids: tuple[str, ...]
    world: World
    now: datetime
    request_id: str
    made: str | None = None
    """What it made, for the record."""


@dataclass(slots=True)
class Speaker(ABC):
    """One vendor's protocol; subclasses hold `routes` and a method for each."""

    clock: Clock
    worlds: dict[str, World] = field(default_factory=dict)

    provider: ClassVar[str]
    routes: ClassVar[tuple[tuple[str, re.Pattern[str], str], ...]]

    def route(self, method: str, path: str) -> tuple[str, tuple[str, ...]]:
        """The name of a route and the ids in its path; an unknown one has an empty name."""
        for verb, pattern, name in self.routes:
            found = pattern.fullmatch(path)
            if found and verb == method:
                return name, found.groups()
        return "", ()

    async def answer(self, call: Call) -> Reply:
        """The reply to a request, with everything that it brings about."""
        method: Any = getattr(self, call.route.replace(".", "_"))
        try:
            reply: Reply = await method(call)
        except VendorError as error:
            reply = self.error(error, call.request_id)
        reply.headers |= self.headers(call)
        return reply

    async def converse(
        self, call: Call, model: str, answer: Answer, *, reserve: Mapping[Meter, float]
    ) -> None:
        """A realtime request: room for it, then its time, then what it used; VendorError.

        `reserve` is what it takes of each limit when it comes; it is billed when it is done.
        """
        realtime, key = call.world.realtime, key_of(call.request.body())
        realtime.asked[key] += 1
        limited = realtime.admit(model, reserve, call.now)
        if limited is not None:
            raise self.limited(call, model, limited)
        written = answer.output + answer.reasoning
        wait = realtime.latency.seconds(call.world.seed, key, realtime.asked[key], written)
        await self.clock.pause(wait)
        now = self.clock.now()
        for meter, amount in self.used(answer).items():
            realtime.settle(model, meter, amount - reserve.get(meter, 0), now)
        realtime.answer(key, answer)

    @abstractmethod
    def used(self, answer: Answer) -> dict[Meter, float]:
        """What an answer took of each limit in the end."""

    @abstractmethod
    def limited(self, call: Call, model: str, limited: Limited) -> VendorError:
        """The vendor's 429, with what it says of its limits."""

    @abstractmethod
    def error(self, error: VendorError, request_id: str) -> Reply:
        """The vendor's own error envelope."""

    @abstractmethod
    def headers(self, call: Call) -> dict[str, str]:
        """What every reply of this vendor carries."""

    @abstractmethod
    def refusal(self, fault: Fault) -> VendorError:
        """The vendor's own error for a fault."""


def pattern(path: str) -> re.Pattern[str]:
    """`/v1/files/{}` as a pattern with a group for each id."""
    return re.compile(re.escape(path).replace(r"\{\}", "([^/]+)"))


def text_characters(params: Mapping[str, Any], *keys: str) -> int:
    """Characters of what a model reads in a request."""
    return sum(characters(params.get(key)) for key in keys)


def answered(
    world: World, key: str, params: dict[str, Any], *, length: int, limit: int | None
) -> Answer:
    """What the row of this name is answered: text, or what fits the schema it brings."""
    made = world.answers.answer(world.seed, key, characters=length, limit=limit)
    schema = schemas.asked(params)
    if schema is None or made.truncated:
        return made
    return replace(made, text=schemas.answer(schema, world.seed, key))


def found(world: World, batch_id: str) -> Batch | None:
    """A batch of the account."""
    batch = world.batches.get(batch_id)
    return None if batch is None or batch.deleted else batch


def retry_after(seconds: float | None) -> dict[str, str]:
    """The header, if there is something to say."""
    return {} if seconds is None else {"retry-after": f"{seconds:g}"}


def too_many_creates(world: World, now: datetime) -> float | None:
    """Seconds until one more batch may be made; None: now."""
    most = world.habits.creates_per_hour
    if most is None:
        return None
    hour = timedelta(hours=1)
    recent = sorted(world.created_since(now - hour))
    if len(recent) < most:
        return None
    return (recent[-most] + hour - now).total_seconds()


def page(batches: list[Batch], after: str | None, limit: int) -> tuple[list[Batch], bool]:
    """The part of a list after an id, and whether more follow."""
    if after is not None:
        places = [place for place, each in enumerate(batches) if each.id == after]
        batches = batches[places[0] + 1 :] if places else []
    return batches[:limit], len(batches) > limit


async def once(batch: Batch, make: Callable[[], dict[str, Any]]) -> bool:
    """Fill `batch.made` in a thread, for the first who asks; whether this one was it."""
    async with batch.making:
        if batch.made:
            return False
        batch.made |= await asyncio.to_thread(make)
        return True


def split(batch: Batch, now: datetime, seed: int) -> tuple[Any, Any]:
    """Places of the rows that are done, and of those that never will be."""
    where = stand(batch, now)
    order = batch.order(seed)
    return order[: where.done], order[where.done :]
