"""An event loop whose time passes when nothing else is left to do, and a vendor that lives in it.

Hours of a run take seconds, and the same seed gives the same run: a makespan can be a law.
"""

from __future__ import annotations

import asyncio
import math
import selectors
from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from random import Random
from typing import TYPE_CHECKING, Any, TypeVar

from planner.handoff.clock import Clock
from planner.handoff.usage import Usage
from planner.handoff.vendor import Account, Allowance, Reply, RowResult
from tests.answers import NOW

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping

    from planner.decision.realtime import Bucket

T = TypeVar("T")
ACCOUNT = Account(provider="vendor", base_url="http://127.0.0.1", key_from="a test")


class _Selector(selectors.SelectSelector):
    """Waits in virtual time: nobody but this loop ever becomes ready."""

    loop: VirtualLoop

    def select(self, timeout: float | None = None) -> list[Any]:
        assert timeout is not None, "everything waits for something that will not come"
        self.loop.passed += max(0.0, timeout)
        return super().select(0)


class VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self.passed = 0.0
        selector = _Selector()
        selector.loop = self
        super().__init__(selector)

    def time(self) -> float:
        return self.passed

    @property
    def clock(self) -> Clock:
        """This loop's time, from NOW on; also for who is not in the loop."""
        return Clock(
            now=lambda: NOW + timedelta(seconds=self.passed),
            sleep=lambda _seconds: None,
            pause=asyncio.sleep,
        )


def run(main: Callable[[Clock], Coroutine[Any, Any, T]]) -> T:
    """Run to the end in virtual time that begins at NOW."""
    loop = VirtualLoop()
    try:
        return loop.run_until_complete(main(loop.clock))
    finally:
        loop.close()


@dataclass
class Vendor:
    """Answers after a lognormal time; refuses what its own buckets do not hold.

    `limits` are the true ones, kept by the vendor; `said` overrides what its headers claim.
    `faults` decides by (custom_id, how often it was asked) what happens instead of an answer.
    """

    clock: Clock
    seed: int = 0
    latency: tuple[float, float] = (2.0, 0.4)
    output: tuple[float, float] = (100.0, 0.6)
    prompt: int = 300
    limits: tuple[Bucket, ...] = ()
    said: Callable[[Mapping[str, Allowance]], Mapping[str, Allowance]] | None = None
    faults: Callable[[str, int], Reply | None] | None = None
    retry_after: float | None = 1.0
    asked: Counter[str] = field(default_factory=Counter)
    answered: Counter[str] = field(default_factory=Counter)
    refused: int = 0
    most_out: int = 0
    out: int = 0
    account: Account = ACCOUNT

    def __post_init__(self) -> None:
        self.random = Random(self.seed)
        self.levels = {each.name: each.limit * each.burst for each in self.limits}
        self.at = self.clock.now()

    async def ask(self, custom_id: str, endpoint: str, body: bytes) -> Reply:
        self.asked[custom_id] += 1
        self.out += 1
        self.most_out = max(self.most_out, self.out)
        try:
            return await self._reply(custom_id)
        finally:
            self.out -= 1

    async def _reply(self, custom_id: str) -> Reply:
        fault = self.faults(custom_id, self.asked[custom_id]) if self.faults else None
        if fault is not None:
            await self.clock.pause(0.1)
            return fault
        written = max(1, round(lognormal(self.random, *self.output)))
        uses = {"rpm": 1, "itpm": self.prompt, "otpm": written, "tpm": self.prompt + written}
        if not self._take(uses):
            self.refused += 1
            await self.clock.pause(0.05)
            return Reply(
                kind="limited",
                status=429,
                retry_after=self.retry_after,
                allowances=self._allowances(),
            )
        await self.clock.pause(lognormal(self.random, *self.latency))
        self.answered[custom_id] += 1
        return answer(custom_id, self.prompt, written, self._allowances())

    def _take(self, uses: Mapping[str, int]) -> bool:
        now = self.clock.now()
        passed = (now - self.at).total_seconds()
        self.at = now
        for each in self.limits:
            refilled = self.levels[each.name] + passed * each.limit / each.window
            self.levels[each.name] = min(each.limit * each.burst, refilled)
        if any(
            self.levels[name] < min(use, 1) for name, use in uses.items() if name in self.levels
        ):
            return False
        for name in self.levels:
            self.levels[name] -= uses[name]
        return True

    def _allowances(self) -> Mapping[str, Allowance]:
        true = {
            each.name: Allowance(
                limit=int(each.limit),
                remaining=max(0, int(self.levels[each.name])),
                reset_after=1.0,
            )
            for each in self.limits
        }
        return true if self.said is None else self.said(true)

    async def close(self) -> None: ...


def answer(
    custom_id: str, prompt: int, written: int, allowances: Mapping[str, Allowance] | None = None
) -> Reply:
    """An answer of so many tokens."""
    return Reply(
        kind="answered",
        raw=b'{"said": "yes"}',
        status=200,
        result=RowResult(
            custom_id=custom_id,
            outcome="succeeded",
            text="yes",
            stop="end",
            usage=Usage(input=prompt, output=written, tier="standard"),
        ),
        allowances=allowances or {},
    )


def lognormal(random: Random, mean: float, cv: float) -> float:
    if cv == 0:
        return mean
    variance = math.log1p(cv * cv)
    return math.exp(random.gauss(math.log(mean) - variance / 2, math.sqrt(variance)))
