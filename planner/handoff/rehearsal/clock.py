"""Clocks for a rehearsal: a day in a second, or real time sped up.

`Virtual` moves only when somebody sleeps, so that a batch of a day is polled to its end as fast
as the machine can. `Jumping` is the same for what happens side by side in one event loop: time
moves to the next moment that anybody waits for, once nothing else can happen before it. `Scaled`
moves by itself. Patching the machine's own clock was rejected: libraries' timeouts stay real.
"""

from __future__ import annotations

import asyncio
import heapq
import selectors
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from itertools import count
from typing import TYPE_CHECKING, Any

from planner.handoff.clock import Clock

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

LOOKS = 3
"""Before time jumps, the sockets are looked at so often: what one end has sent on loopback may
not have reached the other yet."""


class Virtual:
    """Time that passes only while somebody sleeps, and then at once; safe between threads."""

    def __init__(self, start: datetime) -> None:
        assert start.tzinfo is not None, "a time without a zone is no time"
        self._now = start
        self._lock = threading.Lock()
        self.clock = Clock(now=self.now, sleep=self.sleep, pause=self.pause)

    def now(self) -> datetime:
        """The virtual time; it never runs backwards."""
        with self._lock:
            return self._now

    def sleep(self, seconds: float) -> None:
        """Let this much time pass, without waiting; nothing passes for a negative amount."""
        with self._lock:
            self._now += timedelta(seconds=max(seconds, 0))

    async def pause(self, seconds: float) -> None:
        """`sleep`, and let other tasks have a turn."""
        self.sleep(seconds)
        await asyncio.sleep(0)


class Scaled:
    """Time that runs `speed` times as fast as the machine's."""

    def __init__(self, start: datetime, speed: float) -> None:
        assert start.tzinfo is not None, "a time without a zone is no time"
        assert speed > 0, "time runs forwards"
        self.speed = speed
        self._start = start
        self._began = time.monotonic()
        self.clock = Clock(now=self.now, sleep=self.sleep, pause=self.pause)

    def now(self) -> datetime:
        """The scaled time."""
        return self._start + timedelta(seconds=(time.monotonic() - self._began) * self.speed)

    def sleep(self, seconds: float) -> None:
        """Wait this many scaled seconds."""
        time.sleep(max(seconds, 0) / self.speed)

    async def pause(self, seconds: float) -> None:
        """Wait this many scaled seconds; other tasks go on."""
        await asyncio.sleep(max(seconds, 0) / self.speed)


class Leaping:
    """Time that runs `speed` times as fast as the machine's, and leaps over what is slept through.

    For a job that first waits for a batch and then sends single requests: its hours of polling
    take no time, and what happens side by side still does.
    """

    def __init__(self, start: datetime, speed: float) -> None:
        self._scaled = Scaled(start, speed)
        self._leapt = timedelta()
        self._lock = threading.Lock()
        self.clock = Clock(now=self.now, sleep=self.sleep, pause=self._scaled.pause)

    def now(self) -> datetime:
        """The time; it never runs backwards."""
        with self._lock:
            return self._scaled.now() + self._leapt

    def sleep(self, seconds: float) -> None:
        """Let this much time pass at once, for everybody."""
        with self._lock:
            self._leapt += timedelta(seconds=max(seconds, 0))


class Jumping:
    """Time of one event loop, which jumps to the next moment that a task waits for.

    Client and server must both live in the loop made by `loop`; who waits for a socket, a thread
    or the machine's own time does not hold time up, except for threads of the loop's executor.
    """

    def __init__(self, start: datetime) -> None:
        assert start.tzinfo is not None, "a time without a zone is no time"
        self._now = start
        self._waiting: list[tuple[datetime, int, asyncio.Future[None]]] = []
        self._numbers = count()
        self._working = 0
        self.jumps = 0
        self.clock = Clock(now=self.now, sleep=self.sleep, pause=self.pause)

    def now(self) -> datetime:
        """The virtual time; it never runs backwards."""
        return self._now

    def sleep(self, seconds: float) -> None:
        """Let this much time pass at once, for everybody."""
        self._to(self._now + timedelta(seconds=max(seconds, 0)))

    async def pause(self, seconds: float) -> None:
        """Wait until this much time has passed; it passes when all others wait as well."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        future = asyncio.get_running_loop().create_future()
        when = self._now + timedelta(seconds=seconds)
        heapq.heappush(self._waiting, (when, next(self._numbers), future))
        await future

    def loop(self) -> asyncio.AbstractEventLoop:
        """An event loop whose time this is, for `asyncio.Runner(loop_factory=...)`."""
        made = asyncio.SelectorEventLoop(_Selector(self))
        made.set_default_executor(_Executor(self, made))
        return made

    @property
    def idle(self) -> bool:
        """Somebody waits for time alone, and no thread is at work."""
        while self._waiting and self._waiting[0][2].done():
            heapq.heappop(self._waiting)
        return bool(self._waiting) and not self._working

    def jump(self) -> None:
        """To the next moment that somebody waits for."""
        self.jumps += 1
        self._to(self._waiting[0][0])

    def work(self, more: int) -> None:
        """So many more threads are at work."""
        self._working += more

    def _to(self, moment: datetime) -> None:
        self._now = max(self._now, moment)
        while self._waiting and self._waiting[0][0] <= self._now:
            _, _, future = heapq.heappop(self._waiting)
            if not future.done():
                future.set_result(None)


class _Selector(selectors.DefaultSelector):
    """Lets time jump where the loop would have nothing to do but wait."""

    def __init__(self, time_: Jumping) -> None:
        super().__init__()
        self._time = time_

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        found = super().select(0)
        if found or (timeout is not None and timeout <= 0):
            return found
        if not self._time.idle:
            return super().select(timeout)
        for _ in range(LOOKS):
            time.sleep(0)
            found = super().select(0)
            if found:
                return found
        self._time.jump()
        return []


class _Executor(ThreadPoolExecutor):
    """Threads at work hold time up."""

    def __init__(self, time_: Jumping, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(thread_name_prefix="jumping")
        self._time, self._loop = time_, loop

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        self._time.work(1)
        future = super().submit(fn, *args, **kwargs)
        future.add_done_callback(lambda _: self._loop.call_soon_threadsafe(self._time.work, -1))
        return future
