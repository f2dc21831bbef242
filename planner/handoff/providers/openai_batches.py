"""OpenAI's Batch API: a file is stored, then a batch of it made, with tags that tell whose it is.

Two files come back, one of answers and one of errors, and either may be missing whatever the
status says; an expired or cancelled batch has the answers that were ready, and they are billed.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, BinaryIO, Literal

from planner.handoff.providers import openai_wire as words
from planner.handoff.providers import wire
from planner.handoff.vendor import AmbiguousError, Batch, Counts, NotSentError, RowResult

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    import httpx2

    from planner.handoff.keys import Key
    from planner.handoff.vendor import Phase, RowOutcome

PAGE = 100
KEPT = timedelta(days=30)
"""Results are kept so long from the batch's end, as the catalog's `results_kept` says: what
OpenAI does unless asked otherwise, and planner never asks."""
WINDOW: Literal["24h"] = "24h"
MOST_ERRORS = 20

PHASES: Mapping[str, Phase] = {
    "validating": "running",
    "in_progress": "running",
    "finalizing": "running",
    "cancelling": "cancelling",
    "completed": "ended",
    "expired": "ended",
    "cancelled": "ended",
    "failed": "failed",
}
UNDONE: Mapping[str, str] = {"expired": "expired", "cancelled": "canceled"}
"""Status -> what became of the rows that are counted neither as done nor as failed."""
ENDS = ("completed_at", "expired_at", "cancelled_at", "failed_at")
FILES = {"output": "output_file_id", "error": "error_file_id"}
ROW_ENDS: Mapping[str, RowOutcome] = {"batch_expired": "expired", "batch_cancelled": "canceled"}


class OpenAIBatches:
    """The vendor, under one key."""

    uploads = True
    exact_match = True

    def __init__(self, key: Key, base_url: str | None) -> None:
        self._client = words.client(key, base_url)
        self._line = wire.Line(words.WORDS, key)
        try:
            _, response = self._line.object(lambda: self._page(1, None))
        except BaseException:
            self._client.close()
            raise
        self._api = response.headers.get("openai-version")
        self.account = words.account(self._client, self._line, response.headers)

    @property
    def versions(self) -> Mapping[str, str]:
        """Library and, where the vendor tells it, API version."""
        import openai

        told = {"openai-version": self._api} if self._api else {}
        return {"openai": openai.__version__, **told}

    def upload(self, shard: Path, name: str) -> str:
        """Store a shard's bytes: from the open file, since a path would be read whole."""
        with opened(shard) as body:
            found, _ = self._line.object(
                lambda: (
                    self._client.files.with_raw_response.create(
                        file=(name, body), purpose="batch"
                    ).http_response
                )
            )
        file_id = wire.named(found.get("id"))
        if file_id is None:
            raise AmbiguousError("OpenAI was reached, and what came back is no file")
        return file_id

    def create(
        self, shard: Path, *, file_id: str | None, endpoint: str, tags: Mapping[str, str]
    ) -> Batch:
        """Make the paid batch of a stored file: one POST, whatever happens."""
        del shard
        assert file_id is not None, "a batch here is made of a stored file"
        return batch(
            *self._line.object(
                lambda: (
                    self._client.batches.with_raw_response.create(
                        completion_window=WINDOW,
                        endpoint=endpoint,  # type: ignore[arg-type]  # the plan's, checked when built
                        input_file_id=file_id,
                        metadata=dict(tags),
                    ).http_response
                )
            )
        )

    def listed(self) -> Iterator[Batch]:
        """All batches of the project, newest first."""
        after: str | None = None
        while True:
            page, response = self._line.object(lambda at=after: self._page(PAGE, at))  # type: ignore[misc]
            data = page.get("data")
            found = data if isinstance(data, list) else []
            for each in found:
                yield batch(wire.mapping(each), response)
            last = wire.named(wire.mapping(found[-1]).get("id")) if found else None
            if not page.get("has_more") or last is None or last == after:
                return
            after = last

    def retrieve(self, batch_id: str) -> Batch:
        """How it stands now."""
        return batch(
            *self._line.object(
                lambda: (
                    self._client.batches.with_raw_response.retrieve(
                        batch_id, timeout=wire.PATIENCE
                    ).http_response
                )
            )
        )

    def cancel(self, batch_id: str) -> Batch:
        """Ask for its end; what is done stays and is billed."""
        return batch(
            *self._line.object(
                lambda: (
                    self._client.batches.with_raw_response.cancel(
                        batch_id, timeout=wire.PATIENCE
                    ).http_response
                )
            )
        )

    def download(self, batch: Batch, name: str, into: BinaryIO) -> int:
        """A file of results, streamed."""
        wanted = self._client.files.with_streaming_response.content(
            batch.files[name], timeout=wire.PATIENCE
        )
        reply = self._line.call(wanted.__enter__)
        try:
            return wire.copy(reply.http_response, into, self._line)
        finally:
            reply.close()

    def result(self, line: bytes) -> RowResult:
        """One line of either file; ValueError where it is no result at all."""
        return result(line)

    def close(self) -> None:
        """Let connections go."""
        self._client.close()

    def _page(self, limit: int, after: str | None) -> httpx2.Response:
        import openai

        return self._client.batches.with_raw_response.list(
            limit=limit,
            after=openai.omit if after is None else after,
            timeout=wire.PATIENCE,
        ).http_response


def opened(shard: Path) -> BinaryIO:
    """A shard's bytes; NotSentError where they cannot be read."""
    try:
        return shard.open("rb")
    except OSError as error:
        raise NotSentError(f"{shard.name} cannot be read: {error.strerror}") from None


def _refused(custom_id: str, status: int | None, error: Mapping[str, Any]) -> RowResult:
    outcome = ROW_ENDS.get(str(error.get("code")))
    if outcome is None:
        return words.refused(custom_id, status, error)
    return RowResult(custom_id=custom_id, outcome=outcome, error=wire.labelled(error, "code"))


def _error(inner: Mapping[str, Any], body: object, status: int | None) -> dict[str, Any]:
    """The error in a body: its envelope, the error itself, or the bare text of a gateway."""
    found = inner.get("error", inner)
    if isinstance(found, dict) and found:
        return found
    said = found if isinstance(found, str) else body
    return {"code": f"http_{status}", "message": said if isinstance(said, str) else None}


def batch(found: Mapping[str, Any], response: httpx2.Response) -> Batch:
    """A batch in the vendor's JSON; AmbiguousError where it is none."""
    id_, created = wire.named(found.get("id")), _moment(found.get("created_at"))
    if id_ is None or created is None:
        raise AmbiguousError("OpenAI was reached, and what came back is no batch")
    status, errors = str(found.get("status")), _errors(found.get("errors"))
    held = {name: wire.named(found.get(key)) for name, key in FILES.items()}
    files = {name: each for name, each in held.items() if each is not None}
    phase = PHASES.get(status, "unknown")
    if phase == "failed" and files:
        phase = "ended"  # it has rows, whatever it is called, and they are billed
    ended = next((at for name in ENDS if (at := _moment(found.get(name)))), None)
    usage = words.usage(found.get("usage"))
    return Batch(
        id=id_,
        status=status,
        phase=phase,
        created=created,
        ended=ended,
        expires=_moment(found.get("expires_at")),
        harvest_by=ended + KEPT if ended else None,
        counts=_counts(found.get("request_counts"), status),
        file_id=wire.named(found.get("input_file_id")),
        tags={str(name): str(each) for name, each in wire.mapping(found.get("metadata")).items()},
        results=tuple(files) if phase in {"ended", "unknown"} else (),
        files=files,
        errors=tuple(_said(each) for each in errors[:MOST_ERRORS]),
        requeue=phase == "failed" and any(each.get("code") == words.NO_ROOM for each in errors),
        usage=usage if usage is not None and usage.total else None,
        poll_after=wire.retry_after(response.headers),
    )


def _counts(found: object, status: str) -> Counts | None:
    """None until the rows are counted: a total of 0 says that nobody has looked yet."""
    told = wire.mapping(found)
    total = wire.count(told, "total")
    done, failed = wire.count(told, "completed"), wire.count(told, "failed")
    if not total:
        return None
    rest = {UNDONE.get(status, "processing"): max(0, total - done - failed)}
    return Counts(total=total, succeeded=done, errored=failed, **rest)


def _errors(found: object) -> list[dict[str, Any]]:
    data = wire.mapping(found).get("data")
    return [each for each in data if isinstance(each, dict)] if isinstance(data, list) else []


def _said(error: Mapping[str, Any]) -> str:
    line = error.get("line")
    said = wire.labelled(error, "code")
    return said if line is None else f"{said} (line {line})"


def _moment(value: object) -> datetime | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or value <= 0:
        return None
    return datetime.fromtimestamp(value, UTC)


def result(line: bytes) -> RowResult:
    """One line of either file; ValueError where it is no result at all."""
    found = wire.row(line)
    custom_id, reply = found["custom_id"], wire.mapping(found.get("response"))
    error = wire.mapping(found.get("error"))
    status = reply.get("status_code")
    code = status if isinstance(status, int) else None
    body = words.unwrapped(reply.get("body"))
    inner = wire.mapping(body)
    if error or (code or 0) >= words.FAILED:
        return _refused(custom_id, code, error or _error(inner, body, code))
    if not inner:
        said = "unknown: neither an answer nor an error"
        return RowResult(custom_id=custom_id, outcome="unknown", error=said)
    return words.answered(custom_id, inner)


def open_batches(key: Key | None, base_url: str | None) -> OpenAIBatches:
    """OpenAI's batches under a key, the found one by default."""
    return OpenAIBatches(key or words.key(), base_url)
