"""Anthropic Message Batches: a batch is one POST that holds every row, and is known by its id.

Nothing can be attached to a batch and nothing filtered, so an unknown one is told by its size
alone. The library's own `create(requests=…)` was rejected, since it reads every row into memory
and writes its own bytes; its `results()` too, since it follows the address in a reply, key in
hand.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, BinaryIO
from urllib.parse import quote

from planner.handoff.providers import anthropic_wire as words
from planner.handoff.providers import wire
from planner.handoff.vendor import AmbiguousError, Batch, Counts, NotSentError, RowResult

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    import httpx2

    from planner.handoff.keys import Key
    from planner.handoff.vendor import Phase

PATH = "/v1/messages/batches"
RESULTS = "results"
PAGE = 100
KEPT = timedelta(days=29)
"""Results are kept so long from the batch's creation, as the catalog's `results_kept` says."""

PHASES: Mapping[str, Phase] = {
    "in_progress": "running",
    "canceling": "cancelling",
    "ended": "ended",
}
OUTCOMES = ("errored", "expired", "canceled")


class AnthropicBatches:
    """The vendor, under one key."""

    uploads = False
    exact_match = False

    def __init__(self, key: Key, base_url: str | None) -> None:
        self._client = words.client(key, base_url)
        self._line = wire.Line(words.WORDS, key)
        try:
            _, response = self._line.object(lambda: self._page(1, None))
        except BaseException:
            self._client.close()
            raise
        self.account = words.account(self._client, self._line, response.headers)

    @property
    def versions(self) -> Mapping[str, str]:
        """Library and API version."""
        import anthropic

        api = str(self._client.default_headers.get("anthropic-version"))
        return {"anthropic": anthropic.__version__, "anthropic-version": api}

    def upload(self, shard: Path, name: str) -> str:
        """There is nothing to upload to."""
        raise AssertionError(f"{name}: {shard.name} goes with the batch itself")

    def create(
        self, shard: Path, *, file_id: str | None, endpoint: str, tags: Mapping[str, str]
    ) -> Batch:
        """Make the paid batch, from exactly these bytes: one POST, whatever happens."""
        import httpx2

        del file_id, endpoint, tags
        with opened(shard) as body:
            made = self._line.object(
                lambda: self._client.post(PATH, cast_to=httpx2.Response, content=body)
            )
        return batch(*made)

    def listed(self) -> Iterator[Batch]:
        """All batches of the workspace, newest first."""
        after: str | None = None
        while True:
            page, response = self._line.object(lambda at=after: self._page(PAGE, at))  # type: ignore[misc]
            found = page.get("data")
            for each in found if isinstance(found, list) else ():
                yield batch(wire.mapping(each), response)
            last = wire.named(page.get("last_id"))
            if not page.get("has_more") or last is None or last == after:
                return
            after = last

    def retrieve(self, batch_id: str) -> Batch:
        """How it stands now."""
        return batch(
            *self._line.object(
                lambda: (
                    self._client.messages.batches.with_raw_response.retrieve(
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
                    self._client.messages.batches.with_raw_response.cancel(
                        batch_id, timeout=wire.PATIENCE
                    ).http_response
                )
            )
        )

    def download(self, batch: Batch, name: str, into: BinaryIO) -> int:
        """The results, from the batch's own address below the one that is configured."""
        import httpx2

        del name
        path = f"{PATH}/{quote(batch.id, safe='')}/results"
        response = self._line.call(
            lambda: self._client.get(
                path,
                cast_to=httpx2.Response,
                stream=True,
                stream_cls=None,
                options={"headers": {"Accept": "application/binary"}, "timeout": wire.PATIENCE},
            )
        )
        assert isinstance(response, httpx2.Response)
        return wire.copy(response, into, self._line)

    def result(self, line: bytes) -> RowResult:
        """One line of a download; ValueError where it is no result at all."""
        return result(line)

    def close(self) -> None:
        """Let connections go."""
        self._client.close()

    def _page(self, limit: int, after: str | None) -> httpx2.Response:
        import anthropic

        return self._client.messages.batches.with_raw_response.list(
            limit=limit,
            after_id=anthropic.omit if after is None else after,
            timeout=wire.PATIENCE,
        ).http_response


def opened(shard: Path) -> BinaryIO:
    """A shard's bytes; NotSentError where they cannot be read."""
    try:
        return shard.open("rb")
    except OSError as error:
        raise NotSentError(f"{shard.name} cannot be read: {error.strerror}") from None


def batch(found: Mapping[str, Any], response: httpx2.Response) -> Batch:
    """A batch in the vendor's JSON; AmbiguousError where it is none."""
    id_, created = wire.named(found.get("id")), _moment(found.get("created_at"))
    if id_ is None or created is None:
        raise AmbiguousError("Anthropic was reached, and what came back is no batch")
    status = str(found.get("processing_status"))
    phase = PHASES.get(status, "unknown")
    gone = found.get("archived_at") is not None
    return Batch(
        id=id_,
        status=status,
        phase=phase,
        created=created,
        ended=_moment(found.get("ended_at")),
        expires=_moment(found.get("expires_at")),
        harvest_by=created + KEPT,
        counts=_counts(found.get("request_counts")),
        results=(RESULTS,) if phase == "ended" and not gone else (),
        poll_after=wire.retry_after(response.headers),
    )


def _counts(found: object) -> Counts | None:
    """None where the vendor does not tell, which is not nothing."""
    names = ("processing", "succeeded", "errored", "canceled", "expired")
    figures = {name: wire.count(wire.mapping(found), name) for name in names}
    total = sum(figures.values())
    return Counts(total=total, **figures) if total else None


def _moment(text: object) -> datetime | None:
    try:
        found = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def result(line: bytes) -> RowResult:
    """One line of a download; ValueError where it is no result at all."""
    found = wire.row(line)
    custom_id, result = found["custom_id"], wire.mapping(found.get("result"))
    type_ = result.get("type")
    message = wire.mapping(result.get("message"))
    if type_ == "succeeded" and message:
        return words.answered(custom_id, message)
    if type_ == "errored":
        return words.refused(custom_id, result.get("error"))
    if type_ in OUTCOMES:
        return RowResult(custom_id=custom_id, outcome=type_, error=type_)
    return RowResult(
        custom_id=custom_id,
        outcome="unknown",
        error=f"unknown: a result of the type {type_!r}",
        usage=words.usage(message.get("usage")),
    )


def open_batches(key: Key | None, base_url: str | None) -> AnthropicBatches:
    """Anthropic's batches under a key, the found one by default."""
    return AnthropicBatches(key or words.key(), base_url)
