"""What a call to a vendor came to, told from the exception that its library raised.

One question decides about money: may a paid batch exist now? The libraries answer another one
(which status was it), and leave out who spoke: a proxy's 404 looks like the vendor's own. So a
refusal counts as one only with the vendor's request id and its error envelope, a call counts as
never sent only where the connection was not made, and everything else is in doubt.

Asking for an exception's class was rejected: libraries name the same accident differently, and
the transport below them has two generations; its own names are the same in both.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from math import isfinite
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol, TypeVar
from urllib.parse import urlsplit, urlunsplit

from planner.handoff import keys
from planner.handoff.vendor import (
    Allowance,
    AmbiguousError,
    NotSentError,
    RefusedError,
    Reply,
    RowResult,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import httpx2

    from planner.handoff.keys import Key
    from planner.handoff.vendor import Account, RefusalKind, ReplyKind

T = TypeVar("T")

LOGGERS = ("anthropic", "openai", "httpx2", "httpcore2", "httpx", "httpcore")
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")

UNSENT = frozenset(
    {"ConnectError", "ConnectTimeout", "PoolTimeout", "ProxyError", "UnsupportedProtocol"}
    | {"InvalidURL"}
)
"""The transport's accidents before a byte of the request has left."""

PATIENCE = 60.0
"""Seconds without a byte after which a question is given up; a create waits longer, since giving
up on one leaves it in doubt."""
REFUSED = 400
BROKEN = 500
UNFINISHED = frozenset({408, 409, 499})
"""The vendor gave up or met another request on its way: neither a yes nor a no."""
LIMITED = 429
NOT_ALLOWED = frozenset({401, 402, 403})
NOT_FOUND = 404
LONGEST = 500
"""Characters of a vendor's message that are kept."""
LONGEST_BODY = 64 * 1024
"""Bytes of a refusal that are kept."""
CHUNK = 256 * 1024


class Dialect(Protocol):
    """How one vendor marks what is its own, and what its errors mean."""

    @property
    def name(self) -> str:
        """The vendor's name for people."""

    @property
    def request_id(self) -> str:
        """The header that carries its request id."""

    @property
    def variables(self) -> Sequence[str]:
        """What its library reads from the environment besides the key."""

    def kind(self, status: int, error: Mapping[str, Any]) -> RefusalKind:
        """What a definite refusal is about."""

    def ramp(self, error: Mapping[str, Any]) -> bool:
        """Whether a limit is one on growth."""

    def allowances(self, headers: Mapping[str, str]) -> Mapping[str, Allowance]:
        """What the headers of a reply say of limits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A call without a usable reply; `status` None: there was no reply at all."""

    sent: bool
    own: bool = False
    """The vendor itself answered: its request id and its error envelope are there."""
    message: str = ""
    status: int | None = None
    error: Mapping[str, Any]
    headers: Mapping[str, str]
    raw: bytes = b""
    request_id: str | None = None

    @property
    def definite(self) -> bool:
        """The vendor said no, so nothing was made."""
        status = self.status or 0
        return self.own and REFUSED <= status < BROKEN and status not in UNFINISHED


class Line:
    """One vendor's calls under one key: made once, and their failures sorted.

    Make it after the client: a library sets the level of its log when it is imported.
    """

    def __init__(self, dialect: Dialect, key: Key) -> None:
        self.dialect = dialect
        self.key = key
        keys.tame(LOGGERS, (key.secret,))

    def call(self, make: Callable[[], T]) -> T:
        """What a call returns; NotSentError, RefusedError or AmbiguousError."""
        try:
            return make()
        except Exception as error:  # noqa: BLE001 -- whatever a library raises is sorted
            raise self.sorted(self.failure(error)) from None

    def object(self, make: Callable[[], httpx2.Response]) -> tuple[dict[str, Any], httpx2.Response]:
        """The JSON object that a call is answered with, and the reply itself."""
        response = self.call(make)
        found = _json(response.content)
        if not response.is_success or not isinstance(found, dict):
            raise AmbiguousError(
                f"{self.dialect.name} was reached, and what came back is no answer"
            )
        return found, response

    def failure(self, error: Exception) -> Failure:
        """An exception, looked at."""
        response = getattr(error, "response", None)
        if response is None or getattr(error, "status_code", None) is None:
            causes = list(_causes(error))
            unsent = any(UNSENT & {each.__name__ for each in type(one).__mro__} for one in causes)
            said = " from ".join(type(one).__name__ for one in causes)
            detail = self.clean(str(causes[-1]))
            return Failure(sent=not unsent, message=f"{said}: {detail}", error={}, headers={})
        found = _envelope(response)
        request_id = response.headers.get(self.dialect.request_id)
        said = (found or {}).get("message") or "no reason given"
        return Failure(
            sent=True,
            own=found is not None and bool(request_id),
            message=self.clean(f"{self.dialect.name} answered {response.status_code}: {said}"),
            status=response.status_code,
            error=found or {},
            headers=response.headers,
            raw=self.hidden(response.content),
            request_id=request_id,
        )

    def sorted(self, failure: Failure) -> Exception:
        """The failure as the hand-off calls it."""
        if not failure.sent:
            return NotSentError(f"{self.dialect.name} was not reached ({failure.message})")
        if not failure.definite:
            who = "" if failure.own or failure.status is None else " (not the vendor's own words)"
            return AmbiguousError(failure.message + who)
        assert failure.status is not None
        return RefusedError(
            failure.message,
            kind=self.dialect.kind(failure.status, failure.error),
            status=failure.status,
            retry_after=retry_after(failure.headers),
            request_id=failure.request_id,
        )

    def clean(self, text: str) -> str:
        """A vendor's words, short, and without any key: some vendors quote it."""
        return keys.redacted(text, (self.key.secret,))[:LONGEST]

    def hidden(self, raw: bytes) -> bytes:
        """The body of a refusal, as it is kept: without any key, and no longer than it need be."""
        text = raw[:LONGEST_BODY].decode("utf-8", "replace")
        return keys.redacted(text, (self.key.secret,)).encode()

    def settings(self) -> tuple[str, ...]:
        """Names of the variables that are set and that its library obeys."""
        names = (*self.dialect.variables, *PROXIES, *map(str.lower, PROXIES))
        return tuple(name for name in names if os.environ.get(name))


def _causes(error: BaseException) -> Iterator[BaseException]:
    """An exception and what it was raised from, outermost first."""
    found: BaseException | None = error
    while found is not None:
        yield found
        found = found.__cause__


def _json(raw: bytes) -> Any:
    try:
        return json.loads(raw)
    except ValueError:
        return None


def _envelope(response: Any) -> dict[str, Any] | None:
    """The `error` object of a body in JSON; None where there is none."""
    found = _json(response.content)
    error = found.get("error") if isinstance(found, dict) else None
    return error if isinstance(error, dict) and error.get("message") is not None else None


def plain_url(url: object) -> str:
    """An address without user, password, query and last slash: any of these may hold a key."""
    parts = urlsplit(str(url))
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, host, parts.path.rstrip("/"), "", ""))


# --- downloads ---------------------------------------------------------------------------


def copy(response: httpx2.Response, into: BinaryIO, line: Line) -> int:
    """A streamed reply's body as it comes, in constant memory; bytes written.

    AmbiguousError where it breaks off. A reply that ends with its connection cannot say that it
    was cut; the last line shows it unless the cut falls between two lines.
    """
    written, tail = 0, b""
    chunks = response.iter_bytes(CHUNK)
    try:
        while (chunk := line.call(lambda: next(chunks, None))) is not None:
            into.write(chunk)
            written += len(chunk)
            _, newline, rest = chunk.rpartition(b"\n")
            tail = rest if newline else tail + rest
    finally:
        response.close()
    if tail.strip() and _json(tail) is None:
        raise AmbiguousError("the download broke off in the middle of a line")
    return written


# --- headers -----------------------------------------------------------------------------

_GO = re.compile(r"([0-9]+(?:\.[0-9]+)?|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h)")
_SECONDS = {
    "ns": 1e-9,
    "us": 1e-6,
    "µs": 1e-6,
    "\u03bcs": 1e-6,
    "ms": 1e-3,
    "s": 1.0,
    "m": 60.0,
    "h": 3600.0,
}


def seconds(text: str | None) -> float | None:
    """`6m0s`, `1m2.5s`, `20ms` (durations of Go) or a bare number, in seconds; None: neither."""
    text = (text or "").strip()
    try:
        return _positive(float(text))
    except ValueError:
        pass
    parts = _GO.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        return None
    return _positive(sum(float(number) * _SECONDS[unit] for number, unit in parts))


def _positive(value: float) -> float | None:
    return value if isfinite(value) and value >= 0 else None


def until(text: str | None, headers: Mapping[str, str]) -> float | None:
    """Seconds from the reply's own `date` to a moment (RFC 3339 or as in `date`); never below 0.

    None without either: this machine's clock is not the vendor's, and a rehearsal has its own.
    """
    there, sent = _moment(text), _moment(headers.get("date"))
    return None if there is None or sent is None else max(0.0, (there - sent).total_seconds())


def _moment(text: str | None) -> datetime | None:
    for read in (datetime.fromisoformat, parsedate_to_datetime):
        try:
            found = read((text or "").strip())
        except (ValueError, TypeError):
            continue
        return found if found.tzinfo else found.replace(tzinfo=UTC)
    return None


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that a reply asks to wait; None: it does not say."""
    exact = seconds(headers.get("retry-after-ms"))
    if exact is not None:
        return exact / 1000
    said = headers.get("retry-after")
    found = seconds(said)
    return until(said, headers) if found is None else found


def whole(text: str | None) -> int | None:
    """A count in a header; None: there is none."""
    try:
        found = int((text or "").strip())
    except ValueError:
        return None
    return found if found >= 0 else None


def allowance(limit: str | None, remaining: str | None, reset: float | None) -> Allowance | None:
    """One limit of the headers; None where they do not speak of it."""
    found = Allowance(limit=whole(limit), remaining=whole(remaining), reset_after=reset)
    return None if found == Allowance() else found


# --- counts ------------------------------------------------------------------------------


class TextCounts:
    """A vendor's own count of a text's tokens: nothing answers, and the text leaves this machine.

    `ask` sends a user message with the text to a model's counter; `close` lets connections go.
    """

    def __init__(
        self,
        line: Line,
        account: Account,
        ask: Callable[[str, str], httpx2.Response],
        close: Callable[[], None],
    ) -> None:
        self.account = account
        self._line = line
        self._ask = ask
        self.close = close

    def count(self, model: str, text: str) -> int:
        """Tokens of one user message with that text, its frame included; errors of `Line.call`."""
        found, _ = self._line.object(lambda: self._ask(model, text))
        tokens = count(found, "input_tokens")
        if not tokens:
            raise AmbiguousError(
                f"{self._line.dialect.name} was reached, and what came back is no count"
            )
        return tokens


def count(found: Mapping[str, Any] | None, *path: str) -> int:
    """A count somewhere in a JSON object; 0 where there is none, or what stands there is none."""
    value: Any = found
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0


def mapping(value: object) -> dict[str, Any]:
    """A JSON object, or an empty one in place of anything else."""
    return value if isinstance(value, dict) else {}


def named(value: object) -> str | None:
    """An id or a word; an empty one is none."""
    return value if isinstance(value, str) and value else None


def row(line: bytes) -> dict[str, Any]:
    """A line of results with its `custom_id`; ValueError where it is none."""
    found = json.loads(line)
    if not isinstance(found, dict) or named(found.get("custom_id")) is None:
        raise ValueError("a line of results is an object with a custom_id")
    return found


def labelled(error: Mapping[str, Any], *names: str) -> str:
    """`code: message` of an error, from the first of these fields that it has."""
    code = next((str(error[name]) for name in names if error.get(name)), "error")
    said = f"{code}: {error.get('message') or 'no reason given'}"
    return keys.redacted(said[:LONGEST])


# --- realtime ----------------------------------------------------------------------------


def answer(
    line: Line, response: httpx2.Response, read: Callable[[dict[str, Any]], RowResult]
) -> Reply:
    """What a request was answered with, read by its vendor."""
    found = _json(response.content)
    allowances = line.dialect.allowances(response.headers)
    told: dict[str, Any] = {"raw": response.content, "status": response.status_code}
    if not isinstance(found, dict):
        said = f"{line.dialect.name} was reached, and what came back is no answer"
        return Reply(kind="ambiguous", message=said, **told)
    result = read(found)
    kind: ReplyKind = "answered" if result.outcome == "succeeded" else "refused"
    return Reply(
        kind=kind, result=result, allowances=allowances, message=result.error or "", **told
    )


def replied(line: Line, error: Exception, custom_id: str) -> Reply:
    """What a failed request came to."""
    failure, dialect = line.failure(error), line.dialect
    if not failure.sent:
        return Reply(kind="not_sent", message=failure.message)
    if not failure.own:
        return Reply(
            kind="ambiguous", status=failure.status, message=failure.message, raw=failure.raw
        )
    assert failure.status is not None
    told: dict[str, Any] = {
        "raw": failure.raw,
        "status": failure.status,
        "retry_after": retry_after(failure.headers),
        "allowances": dialect.allowances(failure.headers),
        "message": failure.message,
    }
    if not failure.definite:
        return Reply(kind="overloaded", **told)
    kind = dialect.kind(failure.status, failure.error)
    if kind == "full":
        return Reply(kind="limited", ramp=dialect.ramp(failure.error), **told)
    result = RowResult(
        custom_id=custom_id,
        outcome="errored",
        error=line.clean(labelled(failure.error, "code", "type")),
        permanent=kind == "request",
    )
    # An unknown model, a key without rights and an empty purse refuse every other row as well.
    stop = None if kind == "request" else failure.message
    return Reply(kind="refused", result=result, stop=stop, **told)
