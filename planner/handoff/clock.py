"""Time as the hand-off sees it: handed in, so that a rehearsal and a test have their own.

Reading the machine's clock where it is needed would be shorter, and a job that takes a day
could then be rehearsed in no less.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Clock:
    """What time it is (with its zone), and ways to wait some seconds of it."""

    now: Callable[[], datetime]
    sleep: Callable[[float], None]
    pause: Callable[[float], Awaitable[None]]
    """`sleep` for asynchronous code."""
