"""Anthropic's Messages and Message Batches, as its library and recorded traffic have them."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from planner.handoff.rehearsal import protocol
from planner.handoff.rehearsal.http import Reply, encoded
from planner.handoff.rehearsal.laws import CHARACTERS_A_TOKEN, Billed, RowError, key_of
from planner.handoff.rehearsal.protocol import Speaker, VendorError, pattern
from planner.handoff.rehearsal.spool import Blob, MalformedError, requests
from planner.handoff.rehearsal.world import Sheet, stand, token

if TYPE_CHECKING:
    import re
    from datetime import datetime

    from planner.handoff.rehearsal.faults import Fault
    from planner.handoff.rehearsal.laws import Answer
    from planner.handoff.rehearsal.limits import Limited, Meter, Realtime
    from planner.handoff.rehearsal.protocol import Call
    from planner.handoff.rehearsal.world import Batch, Stand, World

BATCHES = "/v1/messages/batches"
BATCH = BATCHES + "/{}"
PAGE = 20
MOST_A_PAGE = 1000
READ = ("system", "messages", "tools")

_KINDS = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    408: "timeout_error",
    409: "conflict_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}


class Anthropic(Speaker):
    """The protocol."""

    provider: ClassVar[str] = "anthropic"
    routes: ClassVar[tuple[tuple[str, re.Pattern[str], str], ...]] = (
        ("POST", pattern(BATCHES), "batches.create"),
        ("GET", pattern(BATCHES), "batches.list"),
        ("POST", pattern("/v1/messages/count_tokens"), "messages.count"),
        ("GET", pattern(BATCH), "batches.retrieve"),
        ("DELETE", pattern(BATCH), "batches.delete"),
        ("POST", pattern(BATCH + "/cancel"), "batches.cancel"),
        ("GET", pattern(BATCH + "/results"), "batches.results"),
        ("POST", pattern("/v1/messages"), "messages.create"),
        ("GET", pattern("/v1/models"), "models.list"),
        ("GET", pattern("/v1/models/{}"), "models.retrieve"),
    )

    # --- envelope -----------------------------------------------------------------------

    def error(self, error: VendorError, request_id: str) -> Reply:
        """`{"type": "error", "error": {...}, "request_id": ...}`."""
        said: dict[str, Any] = {"type": error.kind, "message": error.message}
        if error.code is not None:
            said["details"] = {"error_code": error.code}
        reply = Reply.of({"type": "error", "error": said, "request_id": request_id}, error.status)
        reply.headers |= error.more.get("headers", {})
        return reply

    def headers(self, call: Call) -> dict[str, str]:
        """Request id and account."""
        organization, _, workspace = call.world.tenant.partition("/")
        said = {"request-id": call.request_id, "anthropic-organization-id": organization}
        return {**said, "anthropic-workspace-id": workspace} if workspace else said

    def refusal(self, fault: Fault) -> VendorError:
        """The vendor's error for a fault."""
        headers = protocol.retry_after(fault.retry_after)
        if fault.kind == "spend_limit":
            return VendorError(
                429,
                "rate_limit_error",
                "You have reached your specified API usage limits. You will regain access later.",
                code="enforced_spend_limit_reached",
                headers=headers,
            )
        if fault.kind == "ramp_limit":
            return VendorError(
                429,
                "rate_limit_error",
                "This request would exceed the limit on how fast your usage may grow.",
                code="ramp_limit_exceeded",
                headers=headers,
            )
        status = 404 if fault.kind == "not_found" else fault.status
        kind = _KINDS.get(status, "api_error")
        return VendorError(status, kind, fault.message or f"rehearsed: {kind}", headers=headers)

    # --- batches ------------------------------------------------------------------------

    async def batches_create(self, call: Call) -> Reply:
        """Check what is checked at once, and make the batch."""
        world, request = call.world, call.request
        self._room(call)
        blob = request.blob or world.spool.keep(request.raw)
        sheet = await asyncio.to_thread(_sheet, blob, world)
        self._queue(call, sheet)
        number = len(world.batches) + 1
        batch = world.add(world.name("msgbatch_01", number), sheet, request.sha256, call.now)
        call.made = batch.id
        return Reply.of(self._object(call, batch))

    def _room(self, call: Call) -> None:
        habits = call.world.habits
        if call.request.size > habits.batch_bytes:
            raise VendorError(
                413, "request_too_large", "Request exceeds the maximum allowed number of bytes."
            )
        wait = protocol.too_many_creates(call.world, call.now)
        if wait is not None:
            raise VendorError(
                429,
                "rate_limit_error",
                "This request would exceed your organization's rate limit for batch creation.",
                headers=protocol.retry_after(wait),
            )

    def _queue(self, call: Call, sheet: Sheet) -> None:
        habits, count = call.world.habits, len(sheet.rows)
        if not 0 < count <= habits.batch_rows:
            raise VendorError(
                400,
                "invalid_request_error",
                f"requests: List should have at least 1 and at most {habits.batch_rows} items",
            )
        most = habits.queued_rows
        if most is not None and call.world.queued(call.now)[0] + count > most:
            raise VendorError(
                429,
                "rate_limit_error",
                f"This request would exceed the {most} batch requests that may be queued.",
            )

    def _found(self, call: Call) -> Batch:
        batch = protocol.found(call.world, call.ids[0])
        if batch is None:
            raise VendorError(404, "not_found_error", f"Message batch {call.ids[0]} not found")
        return batch

    async def batches_retrieve(self, call: Call) -> Reply:
        """Where it stands."""
        batch = self._found(call)
        await self._ready(call, batch)
        reply = Reply.of(self._object(call, batch))
        if not stand(batch, call.now).over:
            reply.headers |= protocol.retry_after(call.world.habits.poll_after)
        return reply

    async def batches_list(self, call: Call) -> Reply:
        """Newest first; a page at a time."""
        query = call.request.query
        limit = min(int(query.get("limit", PAGE)), MOST_A_PAGE)
        there = list(call.world.newest(call.now))
        shown, more = protocol.page(there, query.get("after_id"), limit)
        if "before_id" in query:
            newer = [each.id for each in there]
            place = newer.index(query["before_id"]) if query["before_id"] in newer else 0
            shown, more = there[max(place - limit, 0) : place], place > limit
        for batch in shown:
            await self._ready(call, batch)
        return Reply.of(
            {
                "data": [self._object(call, each) for each in shown],
                "has_more": more,
                "first_id": shown[0].id if shown else None,
                "last_id": shown[-1].id if shown else None,
            }
        )

    async def batches_cancel(self, call: Call) -> Reply:
        """Begin to cancel; a batch that has ended stays as it is."""
        batch = self._found(call)
        if not stand(batch, call.now).over and batch.cancel_at is None:
            batch.cancel_at = call.now
        return Reply.of(self._object(call, batch))

    async def batches_delete(self, call: Call) -> Reply:
        """Only what has ended can be deleted."""
        batch = self._found(call)
        if not stand(batch, call.now).over:
            raise VendorError(
                400, "invalid_request_error", f"Message batch {batch.id} is still processing."
            )
        batch.deleted = True
        return Reply.of({"id": batch.id, "type": "message_batch_deleted"})

    async def batches_results(self, call: Call) -> Reply:
        """One line a row, in any order; 404 before the end and after retention."""
        batch = self._found(call)
        if not stand(batch, call.now).over:
            missing = VendorError(
                404,
                "not_found_error",
                f"No results yet for batch {batch.id}",
                headers={"x-should-retry": "false"},
            )
            raise missing
        if self._archived(call, batch) is not None:
            raise VendorError(404, "not_found_error", f"Results of {batch.id} are archived")
        await self._ready(call, batch)
        name = f'attachment; filename="{batch.id}_results.jsonl"'
        headers = {"content-type": "application/x-jsonl", "content-disposition": name}
        return Reply(200, batch.made["results"], headers, framing="chunked")

    async def _ready(self, call: Call, batch: Batch) -> None:
        """Results of a batch that has ended, made once."""
        if stand(batch, call.now).over:
            await protocol.once(batch, lambda: _results(batch, call.world, call.now))

    def _archived(self, call: Call, batch: Batch) -> datetime | None:
        gone = batch.created + call.world.habits.keeps_results
        return gone if call.now >= gone else None

    def _object(self, call: Call, batch: Batch) -> dict[str, Any]:
        """A message batch in the vendor's words."""
        where = stand(batch, call.now)
        archived = self._archived(call, batch)
        url = f"http://{call.request.headers.get('host', '')}/anthropic{BATCHES}/{batch.id}/results"
        return {
            "id": batch.id,
            "type": "message_batch",
            "processing_status": _status(where),
            "request_counts": _counts(batch, where),
            "ended_at": _time(where.ended_at),
            "created_at": _time(batch.created),
            "expires_at": _time(batch.created + batch.window),
            "archived_at": _time(archived),
            "cancel_initiated_at": _time(batch.cancel_at),
            "results_url": url if where.over and archived is None else None,
        }

    # --- realtime -----------------------------------------------------------------------

    async def messages_create(self, call: Call) -> Reply:
        """One message."""
        params = _params(call)
        key, model = key_of(call.request.body()), str(params.get("model", ""))
        error = call.world.answers.wrong(call.world.seed, key) or _invalid(params)
        if error is not None:
            raise VendorError(error.status, error.kind, error.message, code=error.code)
        answer = _answered(key, params, call.world)
        room: dict[Meter, float] = {"rpm": 1, "itpm": answer.input + answer.cache_write, "otpm": 1}
        await self.converse(call, model, answer, reserve=room)
        reply = Reply.of(_message(answer, params, call.world, key, tier="standard"))
        reply.headers |= _allowances(call.world.realtime, model, self.clock.now())
        return reply

    def used(self, answer: Answer) -> dict[Meter, float]:
        """Cached input does not count; output counts as it is written."""
        return {"otpm": answer.output + answer.reasoning}

    def limited(self, call: Call, model: str, limited: Limited) -> VendorError:
        """It names the limit, and when to come again."""
        what = {"rpm": "requests", "itpm": "input tokens", "otpm": "output tokens"}
        said = f"This request would exceed your rate limit of {what[limited.meter]} per minute."
        headers = _allowances(call.world.realtime, model, call.now)
        headers |= protocol.retry_after(limited.retry_after)
        return VendorError(TOO_MANY, "rate_limit_error", said, headers=headers)

    # --- the rest -----------------------------------------------------------------------

    async def messages_count(self, call: Call) -> Reply:
        """Tokens of a prompt, by the same law that bills them."""
        length = protocol.text_characters(call.request.json(), *READ)
        return Reply.of({"input_tokens": max(-(-length // CHARACTERS_A_TOKEN), 1)})

    async def models_list(self, call: Call) -> Reply:
        """One model, so that an account can be read."""
        models = [_model(each) for each in call.world.models] or [_model("rehearsal")]
        ends = {"first_id": models[0]["id"], "last_id": models[-1]["id"]}
        return Reply.of({"data": models, "has_more": False, **ends})

    async def models_retrieve(self, call: Call) -> Reply:
        """Every model exists."""
        return Reply.of(_model(call.ids[0]))


def _params(call: Call) -> dict[str, Any]:
    try:
        params = call.request.json()
    except ValueError as error:
        raise VendorError(400, "invalid_request_error", f"not valid JSON: {error}") from None
    if not isinstance(params, dict):
        raise VendorError(400, "invalid_request_error", "Input should be an object")
    return params


_NAMES: dict[Meter, str] = {"rpm": "requests", "itpm": "input-tokens", "otpm": "output-tokens"}
TOO_MANY = 429
ROUNDED = 1_000
"""What remains of tokens is told to the nearest thousand."""


def _allowances(realtime: Realtime, model: str, now: datetime) -> dict[str, str]:
    """Limits, what remains, and the moment at which each is full again."""
    headers: dict[str, str] = {}
    for meter, name in _NAMES.items():
        said = realtime.said(model, meter, now)
        if said is None:
            continue
        limit, remaining, until = said
        if meter != "rpm":
            remaining = round(remaining / ROUNDED) * ROUNDED
        full = (now + timedelta(seconds=until)).astimezone(UTC).replace(microsecond=0)
        headers |= {
            f"anthropic-ratelimit-{name}-limit": str(limit),
            f"anthropic-ratelimit-{name}-remaining": str(remaining),
            f"anthropic-ratelimit-{name}-reset": full.isoformat().replace("+00:00", "Z"),
        }
    return headers


def _model(name: str) -> dict[str, Any]:
    return {
        "id": name,
        "type": "model",
        "display_name": name,
        "created_at": "1970-01-01T00:00:00Z",
        "lifecycle": "active",
    }


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat(timespec="microseconds")


def _status(where: Stand) -> str:
    if where.over:
        return "ended"
    return "canceling" if where.phase == "cancelling" else "in_progress"


def _counts(batch: Batch, where: Stand) -> dict[str, int]:
    """Zeros until the whole batch has ended; the sum is always the number of rows."""
    names = ("processing", "succeeded", "errored", "canceled", "expired")
    if not where.over:
        return dict.fromkeys(names, 0) | {"processing": batch.size}
    counts: dict[str, int] = batch.made.get("counts") or {}
    return dict.fromkeys(names, 0) | counts


# --- rows -------------------------------------------------------------------------------


def _sheet(blob: Blob, world: World) -> Sheet:
    """Read the rows of a body; VendorError for what is checked when a batch is made."""
    try:
        rows = requests(blob)
    except MalformedError as error:
        raise VendorError(400, "invalid_request_error", str(error)) from None
    sheet = Sheet(rows=rows)
    seen: set[int] = set()
    for number, raw in rows.all():
        custom_id, params = _row(number, raw)
        if hash(custom_id) in seen:
            raise VendorError(
                400, "invalid_request_error", f"requests.{number}.custom_id: must be unique"
            )
        seen.add(hash(custom_id))
        sheet.model = sheet.model or str(params.get("model", ""))
        sheet.tokens += protocol.text_characters(params, *READ) // CHARACTERS_A_TOKEN
    world.models[sheet.model] = None
    return sheet


def _row(number: int, raw: bytes) -> tuple[str, dict[str, Any]]:
    try:
        row = json.loads(raw)
        custom_id, params = row["custom_id"], row["params"]
    except (ValueError, KeyError, TypeError) as error:
        raise VendorError(400, "invalid_request_error", f"requests.{number}: {error}") from None
    if not isinstance(custom_id, str) or not protocol.CUSTOM_ID.fullmatch(custom_id):
        raise VendorError(
            400,
            "invalid_request_error",
            f"requests.{number}.custom_id: String should match pattern '^[a-zA-Z0-9_-]{{1,64}}$'",
        )
    return custom_id, params


def _results(batch: Batch, world: World, now: datetime) -> dict[str, Any]:
    """Write the lines of a batch that has ended, and count them."""
    done, undone = protocol.split(batch, now, world.seed)
    fate = "canceled" if stand(batch, now).phase == "cancelled" else "expired"
    billed, errored = Billed(), 0
    path = world.spool.path()
    with path.open("wb") as stream:
        for _, raw in batch.sheet.rows.each(done):
            custom_id, params = _row(0, raw)
            line, answer = _line(custom_id, params, world)
            stream.write(line)
            errored += answer is None
            if answer is not None:
                billed.add(answer)
        for _, raw in batch.sheet.rows.each(undone):
            custom_id, _params = _row(0, raw)
            stream.write(_row_line(custom_id, {"type": fate}))
        size = stream.tell()
    counts = {"succeeded": billed.rows, "errored": errored, fate: len(undone)}
    return {"results": Blob(path, 0, size), "counts": counts, "billed": billed}


def _line(custom_id: str, params: dict[str, Any], world: World) -> tuple[bytes, Answer | None]:
    error = world.answers.wrong(world.seed, custom_id) or _invalid(params)
    if error is not None:
        said = {"type": "error", "error": {"type": error.kind, "message": error.message}}
        result: dict[str, Any] = {"type": "errored", "error": said | {"request_id": None}}
        return _row_line(custom_id, result), None
    answer = _answered(custom_id, params, world)
    message = _message(answer, params, world, custom_id, tier="batch")
    result = {"type": "succeeded", "message": message}
    return _row_line(custom_id, result), answer


def _answered(key: str, params: dict[str, Any], world: World) -> Answer:
    length = protocol.text_characters(params, *READ)
    limit = params.get("max_tokens")
    return protocol.answered(world, key, params, length=length, limit=limit)


def _invalid(params: dict[str, Any]) -> RowError | None:
    """What this vendor finds only when a row has its turn."""
    limit = params.get("max_tokens")
    if not isinstance(limit, int) or limit < 1:
        return RowError(
            message="max_tokens: Field required" if limit is None else "max_tokens: >= 1"
        )
    if not params.get("messages"):
        return RowError(message="messages: at least one message is required")
    if params.get("stream"):
        return RowError(message="stream: batches cannot be streamed")
    return None


def _message(
    answer: Answer, params: dict[str, Any], world: World, key: str, *, tier: str
) -> dict[str, Any]:
    """A message with its usage."""
    return {
        "model": params.get("model", ""),
        "id": "msg_01" + token(world.seed, "msg", key),
        "type": "message",
        "role": "assistant",
        "content": [{"type": "text", "text": answer.text}],
        "stop_reason": "max_tokens" if answer.truncated else "end_turn",
        "stop_sequence": None,
        "stop_details": None,
        "usage": _usage(answer, tier),
    }


def _usage(answer: Answer, tier: str) -> dict[str, Any]:
    """Input leaves cached tokens out; output contains the thought ones."""
    said: dict[str, Any] = {
        "input_tokens": answer.input,
        "cache_creation_input_tokens": answer.cache_write,
        "cache_read_input_tokens": answer.cache_read,
        "cache_creation": {
            "ephemeral_5m_input_tokens": answer.cache_write,
            "ephemeral_1h_input_tokens": 0,
        },
        "output_tokens": answer.output + answer.reasoning,
        "service_tier": tier,
        "inference_geo": "global",
    }
    if answer.reasoning:
        said["output_tokens_details"] = {"thinking_tokens": answer.reasoning}
    return said


def _row_line(custom_id: str, result: dict[str, Any]) -> bytes:
    return encoded({"custom_id": custom_id, "result": result}) + b"\n"
