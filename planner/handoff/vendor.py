"""What the hand-off asks of a vendor, and the words in which vendors answer.

A vendor's module translates calls, states and failures into these; the loop above knows no
vendor. Every failure is sorted by the one question that matters, *may a paid batch exist now*:
`NotSentError` no, `RefusedError` no and here is why, `AmbiguousError` nobody can say. Passing
the libraries' own exceptions on was rejected: each names the same accident differently, and a
new version adds one that would be taken for harmless.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, BinaryIO, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime
    from pathlib import Path

    from planner.handoff.usage import Usage

Phase = Literal["running", "cancelling", "ended", "failed", "unknown"]
"""Where a batch stands. `ended`: no row will change any more, results (if any) can be read,
whatever the vendor calls it: completed, expired, cancelled. `failed`: refused as a whole before
any row ran. `unknown`: a status nobody has documented; keep asking and say so."""

RowOutcome = Literal["succeeded", "errored", "expired", "canceled", "unknown"]

RefusalKind = Literal[
    "request",  # what was sent is wrong: mend it, do not repeat it
    "access",  # key, permission, or payment: the person must act
    "spend_limit",  # the account's own spending limit: stop, never repeat
    "full",  # a queue or rate limit: nothing was made, come again after `retry_after`
    "missing",  # no such thing, for this account
]


class NotSentError(Exception):
    """The call did not reach the vendor (name not found, refused, no route): nothing exists."""


class AmbiguousError(Exception):
    """The call may have reached the vendor, and the reply was lost: find out before repeating."""


class RefusedError(Exception):
    """The vendor itself said no, with its request id: nothing exists."""

    def __init__(
        self,
        message: str,
        *,
        kind: RefusalKind,
        status: int | None = None,
        retry_after: float | None = None,
        request_id: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.kind = kind
        self.status = status
        self.retry_after = retry_after
        """Seconds the vendor asks to wait; None: it does not say."""
        self.request_id = request_id


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """Whom the vendor will bill, and where it is reached; never the key, which rotates.

    None: the vendor does not tell. `key_from` names the variable or the keyring entry.
    """

    provider: str
    base_url: str
    key_from: str
    organization: str | None = None
    workspace: str | None = None
    project: str | None = None
    settings: tuple[str, ...] = ()
    """Variables that are set and steer the vendor's library (address, headers, proxy): their
    names alone, since a header may be a key."""

    @property
    def fingerprint(self) -> str:
        """What a ledger is bound to: the same for every key of one account."""
        parts = [self.provider, self.base_url, self.organization, self.workspace, self.project]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Rows of a batch by what became of them; vendors keep most at 0 until the end."""

    total: int
    processing: int = 0
    succeeded: int = 0
    errored: int = 0
    canceled: int = 0
    expired: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """A batch as its vendor tells it; None: not told."""

    id: str
    status: str
    """The vendor's own word."""
    phase: Phase
    created: datetime
    ended: datetime | None = None
    expires: datetime | None = None
    harvest_by: datetime | None = None
    """After this the results are gone."""
    counts: Counts | None = None
    """None: unknown, which is not the same as nothing done."""
    file_id: str | None = None
    """The uploaded file it was made of."""
    tags: Mapping[str, str] = field(default_factory=dict)
    """What we attached when we made it, where the vendor keeps such things."""
    results: tuple[str, ...] = ()
    """Names of what can be downloaded, empty before the end."""
    files: Mapping[str, str] = field(default_factory=dict)
    """Name -> the vendor's file that holds it, where results are files of their own."""
    errors: tuple[str, ...] = ()
    """Why it failed as a whole."""
    requeue: bool = False
    """It failed for want of room in a queue, so it may be sent again later."""
    usage: Usage | None = None
    """The vendor's own total, where it gives one."""
    poll_after: float | None = None
    """Seconds the vendor asks to wait before asking again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RowResult:
    """One line of results."""

    custom_id: str
    outcome: RowOutcome
    text: str | None = None
    """The answer; None where there is none."""
    stop: str | None = None
    """Why it ended, in the vendor's word."""
    truncated: bool = False
    """It ran into the output limit."""
    error: str | None = None
    """`code: message` of a row that did not succeed."""
    permanent: bool = False
    """Sent again as it is, it would fail again."""
    usage: Usage | None = None


class BatchVendor(Protocol):
    """The batch calls of one vendor under one account. Each call is made once, never repeated.

    Every method may raise RefusedError, NotSentError or AmbiguousError; reads may repeat
    inside, writes never do.
    """

    @property
    def account(self) -> Account:
        """Resolved when the vendor was opened (`providers.vendors.open_batches`)."""

    @property
    def uploads(self) -> bool:
        """A shard is stored as a file first, and the batch names it."""

    @property
    def exact_match(self) -> bool:
        """A batch found by listing can be told to be ours for certain, by its tags or file."""

    @property
    def versions(self) -> Mapping[str, str]:
        """Library and API version, for the record."""

    def upload(self, shard: Path, name: str) -> str:
        """Store a shard's bytes, and the name of the stored file."""

    def create(
        self, shard: Path, *, file_id: str | None, endpoint: str, tags: Mapping[str, str]
    ) -> Batch:
        """Make the paid batch, from exactly these bytes: one POST, whatever happens."""

    def listed(self) -> Iterator[Batch]:
        """All batches of the account, newest first, a page at a time as they are asked for."""

    def retrieve(self, batch_id: str) -> Batch:
        """How it stands now."""

    def cancel(self, batch_id: str) -> Batch:
        """Ask for its end; what is done stays and is billed."""

    def download(self, batch: Batch, name: str, into: BinaryIO) -> int:
        """One of `batch.results` as raw bytes, streamed; bytes written.

        AmbiguousError where the reply broke off.
        """

    def result(self, line: bytes) -> RowResult:
        """One line of a download; ValueError where it is no result at all."""

    def close(self) -> None:
        """Let connections go."""


# --- realtime ---------------------------------------------------------------------------

ReplyKind = Literal[
    "answered",
    "refused",  # the row is at fault, or access: repeating is pointless (see `stop`)
    "limited",  # 429: too many requests or tokens; not billed, come again
    "overloaded",  # 5xx or 529 with the vendor's own error; not billed, come again
    "not_sent",
    "ambiguous",  # may be billed: the connection broke after the request was sent
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """What the vendor's headers say of one limit, at the moment of the reply."""

    limit: int | None = None
    remaining: int | None = None
    reset_after: float | None = None
    """Seconds until it is full again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What came of one realtime request."""

    kind: ReplyKind
    raw: bytes = b""
    """The body as it came."""
    result: RowResult | None = None
    """Of an answered or refused row; its custom_id is the row's."""
    status: int | None = None
    retry_after: float | None = None
    allowances: Mapping[str, Allowance] = field(default_factory=dict)
    """By the catalog's names of limits: rpm, itpm, otpm, tpm."""
    stop: str | None = None
    """Why no other row can be answered either (spend limit, access); None: only this one."""
    ramp: bool = False
    """Limited for growing too fast, not for the volume itself."""
    message: str = ""


class RealtimeVendor(Protocol):
    """Single requests of one vendor under one account; one attempt a call, never a repeat."""

    @property
    def account(self) -> Account:
        """Resolved when the vendor was opened."""

    async def ask(self, custom_id: str, endpoint: str, body: bytes) -> Reply:
        """Send one row's body exactly as it is; every failure comes back as a Reply."""

    async def close(self) -> None:
        """Let connections go."""


# --- counting ---------------------------------------------------------------------------


class TokenVendor(Protocol):
    """One vendor's own counts of tokens; the text is sent, and nothing answers it."""

    @property
    def account(self) -> Account:
        """Resolved when the vendor was opened."""

    def count(self, model: str, text: str) -> int:
        """Tokens of one user message with that text; RefusedError, NotSentError, AmbiguousError."""

    def close(self) -> None:
        """Let connections go."""
