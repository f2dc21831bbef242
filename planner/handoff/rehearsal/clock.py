"""Clocks for a rehearsal: a day in a second, or real time sped up.

`Virtual` moves only when somebody sleeps, so that a batch of a day is polled to its end as fast
as the machine can; `Scaled` moves by itself, for what really happens side by side. One clock
that patches the machine's own was rejected: the libraries' timeouts must stay real.
"""

from __future__ import annotations

import asyncio
import threading
import time
from datetime import datetime, timedelta

from planner.handoff.clock import Clock


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
