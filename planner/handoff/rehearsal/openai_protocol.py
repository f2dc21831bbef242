"""OpenAI's Files, Batches, Responses and Chat Completions, as library and recordings have them."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from planner.handoff.rehearsal import openai_rows as rows
from planner.handoff.rehearsal import protocol
from planner.handoff.rehearsal.http import Reply
from planner.handoff.rehearsal.laws import CHARACTERS_A_TOKEN, Billed, key_of
from planner.handoff.rehearsal.openai_rows import CHAT, ENDPOINTS, RESPONSES, unix
from planner.handoff.rehearsal.protocol import Speaker, VendorError, pattern
from planner.handoff.rehearsal.spool import Blob
from planner.handoff.rehearsal.world import File, hexadecimal, stand

if TYPE_CHECKING:
    from datetime import datetime

    from planner.handoff.rehearsal.faults import Fault
    from planner.handoff.rehearsal.laws import Answer
    from planner.handoff.rehearsal.limits import Limited, Meter, Realtime
    from planner.handoff.rehearsal.protocol import Call
    from planner.handoff.rehearsal.world import Batch, Stand

PAGE = 20
MOST_A_PAGE = 100
MOST_FILES_A_PAGE = 10_000
MOST_PROBLEMS = 20
"""A failed batch does not list every line that is wrong."""
KEEPS_FILES = timedelta(days=30)

TOO_MANY = 429
OUR_FAULT = 500


class OpenAI(Speaker):
    """The protocol."""

    provider: ClassVar[str] = "openai"
    routes: ClassVar[tuple[tuple[str, re.Pattern[str], str], ...]] = (
        ("POST", pattern("/v1/files"), "files.create"),
        ("GET", pattern("/v1/files"), "files.list"),
        ("GET", pattern("/v1/files/{}"), "files.retrieve"),
        ("DELETE", pattern("/v1/files/{}"), "files.delete"),
        ("GET", pattern("/v1/files/{}/content"), "files.content"),
        ("POST", pattern("/v1/batches"), "batches.create"),
        ("GET", pattern("/v1/batches"), "batches.list"),
        ("GET", pattern("/v1/batches/{}"), "batches.retrieve"),
        ("POST", pattern("/v1/batches/{}/cancel"), "batches.cancel"),
        ("POST", pattern(RESPONSES), "responses.create"),
        ("POST", pattern(f"{RESPONSES}/input_tokens"), "responses.count"),
        ("POST", pattern(CHAT), "chat.create"),
        ("GET", pattern("/v1/models"), "models.list"),
        ("GET", pattern("/v1/models/{}"), "models.retrieve"),
    )

    # --- envelope -----------------------------------------------------------------------

    def error(self, error: VendorError, request_id: str) -> Reply:
        """`{"error": {...}}`; the request id stands in a header."""
        del request_id
        said = {
            "message": error.message,
            "type": error.kind,
            "param": error.more.get("param"),
            "code": error.code,
        }
        reply = Reply.of({"error": said}, error.status)
        reply.headers |= error.more.get("headers", {})
        return reply

    def headers(self, call: Call) -> dict[str, str]:
        """Request id, account and version."""
        organization, _, project = call.world.tenant.partition("/")
        said = {
            "x-request-id": call.request_id,
            "openai-organization": organization,
            "openai-version": "2020-10-01",
            "openai-processing-ms": "20",
        }
        return {**said, "openai-project": project} if project else said

    def refusal(self, fault: Fault) -> VendorError:
        """The vendor's error for a fault."""
        headers = protocol.retry_after(fault.retry_after)
        if fault.kind == "spend_limit":
            return VendorError(
                429,
                "insufficient_quota",
                "You exceeded your current quota, please check your plan and billing details.",
                code="insufficient_quota",
                headers=headers,
            )
        status = {"not_found": 404, "ramp_limit": 429}.get(fault.kind, fault.status)
        if status == TOO_MANY:
            return VendorError(
                429,
                "requests",
                "Rate limit reached. Please slow down.",
                code="rate_limit_exceeded",
                headers=headers,
            )
        kind = "server_error" if status >= OUR_FAULT else "invalid_request_error"
        said = fault.message or f"rehearsed: {status}"
        return VendorError(status, kind, said, headers=headers)

    # --- files --------------------------------------------------------------------------

    async def files_create(self, call: Call) -> Reply:
        """Keep an uploaded file."""
        blob = call.request.blob or call.world.spool.keep(call.request.raw)
        form = await asyncio.to_thread(_form, blob, call.request.headers.get("content-type", ""))
        if form.file is None or form.fields.get("purpose") is None:
            raise VendorError(400, "invalid_request_error", "'file' is a required property")
        stem, dot, suffix = form.name.rpartition(".")
        if stem and dot and suffix != "jsonl" and form.fields["purpose"] == "batch":
            raise VendorError(
                400,
                "invalid_request_error",
                f"Invalid file format for Batch API. Must be .jsonl, not .{suffix}",
                param="file",
            )
        number = len(call.world.files) + 1
        kept = File(
            id=call.world.name("file-", number),
            name=form.name,
            purpose=form.fields["purpose"],
            created=call.now,
            blob=form.file,
            sha256=await asyncio.to_thread(form.file.sha256),
            expires=call.now + KEEPS_FILES if form.fields["purpose"] == "batch" else None,
        )
        call.world.files[kept.id] = kept
        call.made = kept.id
        return Reply.of(_file(kept))

    def _file(self, call: Call, name: str) -> File:
        kept = call.world.files.get(name)
        if kept is None or (kept.expires is not None and call.now >= kept.expires):
            raise VendorError(
                404, "invalid_request_error", f"No such File object: {name}", param="id"
            )
        return kept

    async def files_retrieve(self, call: Call) -> Reply:
        """What is known of a file."""
        return Reply.of(_file(self._file(call, call.ids[0])))

    async def files_list(self, call: Call) -> Reply:
        """Newest first."""
        query = call.request.query
        there = [
            each
            for each in reversed(call.world.files.values())
            if query.get("purpose") in {None, each.purpose}
            and (each.expires is None or call.now < each.expires)
        ]
        limit = min(int(query.get("limit", MOST_FILES_A_PAGE)), MOST_FILES_A_PAGE)
        names = [each.id for each in there]
        if query.get("after") in names:
            there = there[names.index(query["after"]) + 1 :]
        return Reply.of(_list([_file(each) for each in there[:limit]], more=len(there) > limit))

    async def files_delete(self, call: Call) -> Reply:
        """Gone at once."""
        kept = self._file(call, call.ids[0])
        del call.world.files[kept.id]
        return Reply.of({"id": kept.id, "object": "file", "deleted": True})

    async def files_content(self, call: Call) -> Reply:
        """The bytes of a file."""
        kept = self._file(call, call.ids[0])
        headers = {
            "content-type": "application/octet-stream",
            "content-disposition": f'attachment; filename="{kept.name}"',
        }
        return Reply(200, kept.blob, headers)

    # --- batches ------------------------------------------------------------------------

    async def batches_create(self, call: Call) -> Reply:
        """Make the batch; its lines are looked at afterwards."""
        asked = call.request.json()
        for key in ("input_file_id", "endpoint", "completion_window"):
            if not isinstance(asked.get(key), str):
                raise VendorError(
                    400, "invalid_request_error", f"Missing required parameter: '{key}'.", param=key
                )
        _fit(asked)
        wait = protocol.too_many_creates(call.world, call.now)
        if wait is not None:
            raise VendorError(
                429,
                "requests",
                "Rate limit reached for batch creation.",
                code="rate_limit_exceeded",
                headers=protocol.retry_after(wait),
            )
        file = self._file(call, asked["input_file_id"])
        sheet = await asyncio.to_thread(rows.sheet_of, file.blob, asked["endpoint"], call)
        name = "batch_" + hexadecimal(
            call.world.seed, call.world.tenant, "batch", len(call.world.batches) + 1
        )
        batch = call.world.add(name, sheet, file.sha256, call.now, **asked)
        call.made = batch.id
        return Reply.of(self._object(call, batch))

    def _found(self, call: Call) -> Batch:
        batch = protocol.found(call.world, call.ids[0])
        if batch is None:
            raise VendorError(
                404, "invalid_request_error", f"No batch found with id '{call.ids[0]}'."
            )
        return batch

    async def batches_retrieve(self, call: Call) -> Reply:
        """Where it stands."""
        batch = self._found(call)
        await self._ready(call, batch)
        reply = Reply.of(self._object(call, batch))
        if stand(batch, call.now).ended_at is None:
            reply.headers |= protocol.retry_after(call.world.habits.poll_after)
        return reply

    async def batches_list(self, call: Call) -> Reply:
        """Newest first; a page at a time."""
        query = call.request.query
        limit = min(int(query.get("limit", PAGE)), MOST_A_PAGE)
        there = list(call.world.newest(call.now))
        shown, more = protocol.page(there, query.get("after"), limit)
        for batch in shown:
            await self._ready(call, batch)
        return Reply.of(_list([self._object(call, each) for each in shown], more=more))

    async def batches_cancel(self, call: Call) -> Reply:
        """Begin to cancel; what has ended cannot be."""
        batch = self._found(call)
        where = stand(batch, call.now)
        if where.ended_at is not None:
            raise VendorError(
                409, "invalid_request_error", f"Cannot cancel a batch with status '{where.phase}'."
            )
        if batch.cancel_at is None:
            batch.cancel_at = call.now
        return Reply.of(self._object(call, batch))

    async def _ready(self, call: Call, batch: Batch) -> None:
        """Files of a batch that has ended, made once."""
        where = stand(batch, call.now)
        if not where.over:
            return
        if not await protocol.once(batch, lambda: rows.results(batch, call.world, call.now)):
            return
        for kind in ("output", "error"):
            blob = batch.made[kind]
            if blob.size:
                kept = self._made(call, batch, kind, blob, where)
                call.world.files[kept.id] = kept
                batch.made[f"{kind}_file_id"] = kept.id

    def _made(self, call: Call, batch: Batch, kind: str, blob: Blob, where: Stand) -> File:
        assert where.ended_at is not None
        asked = batch.asked.get("output_expires_after") or {}
        keeps = timedelta(seconds=asked["seconds"]) if asked else call.world.habits.keeps_results
        return File(
            id=call.world.name("file-", batch.id, kind),
            name=f"{batch.id}_{kind}.jsonl",
            purpose="batch_output",
            created=where.ended_at,
            blob=blob,
            expires=where.ended_at + keeps,
        )

    def _object(self, call: Call, batch: Batch) -> dict[str, Any]:
        """A batch in the vendor's words."""
        where = stand(batch, call.now)
        asked, phase = batch.asked, where.phase
        said = {
            "id": batch.id,
            "object": "batch",
            "endpoint": asked["endpoint"],
            "errors": _errors(batch) if phase == "failed" else None,
            "input_file_id": asked["input_file_id"],
            "completion_window": asked["completion_window"],
            "status": "in_progress" if phase == "running" else phase,
            "output_file_id": batch.made.get("output_file_id"),
            "error_file_id": batch.made.get("error_file_id"),
            "created_at": unix(batch.created),
            "in_progress_at": unix(where.running_at),
            "expires_at": unix(batch.created + batch.window),
            "finalizing_at": unix(where.finalizing_at),
            "completed_at": unix(where.ended_at) if phase == "completed" else None,
            "failed_at": unix(where.ended_at) if phase == "failed" else None,
            "expired_at": unix(where.ended_at) if phase == "expired" else None,
            "cancelling_at": unix(where.cancelling_at),
            "cancelled_at": unix(where.ended_at) if phase == "cancelled" else None,
            "request_counts": _counts(batch, where),
            "metadata": asked.get("metadata"),
            "model": batch.sheet.model or None,
        }
        return said | {"usage": _total(batch.made.get("billed") or Billed())}

    # --- realtime -----------------------------------------------------------------------

    async def responses_create(self, call: Call) -> Reply:
        """One response."""
        return await self._answer(call, RESPONSES)

    async def chat_create(self, call: Call) -> Reply:
        """One completion."""
        return await self._answer(call, CHAT)

    async def _answer(self, call: Call, url: str) -> Reply:
        body = _body(call)
        key, model = key_of(call.request.body()), str(body.get("model", ""))
        error = call.world.answers.wrong(call.world.seed, key) or rows.invalid(body, url)
        if error is not None:
            raise VendorError(error.status, error.kind, error.message, code=error.code)
        answer = rows.answered(key, body, call.world)
        read = answer.input + answer.cache_read + answer.cache_write
        most = rows.limit(body) or answer.output + answer.reasoning
        await self.converse(call, model, answer, reserve={"rpm": 1, "tpm": read + most})
        made = rows.response(answer, body, call.world, key, url, call.now, tier="default")
        reply = Reply.of(made)
        reply.headers |= _allowances(call.world.realtime, model, self.clock.now())
        return reply

    def used(self, answer: Answer) -> dict[Meter, float]:
        """What was reserved for the longest answer is not given back."""
        del answer
        return {}

    def limited(self, call: Call, model: str, limited: Limited) -> VendorError:
        """It names the limit, and when to come again."""
        what = {"rpm": "requests", "tpm": "tokens"}[limited.meter]
        said = f"Rate limit reached for {model} on {what} per min."
        headers = _allowances(call.world.realtime, model, call.now)
        headers |= protocol.retry_after(limited.retry_after)
        code = "rate_limit_exceeded"
        return VendorError(TOO_MANY, what, said, code=code, headers=headers)

    # --- the rest -----------------------------------------------------------------------

    async def responses_count(self, call: Call) -> Reply:
        """Tokens of a prompt, by the same law that bills them."""
        length = protocol.text_characters(_body(call), *rows.READ)
        tokens = max(-(-length // CHARACTERS_A_TOKEN), 1)
        return Reply.of({"object": "response.input_tokens", "input_tokens": tokens})

    async def models_list(self, call: Call) -> Reply:
        """One model, so that an account can be read."""
        return Reply.of(_list([_model(each) for each in call.world.models or ("rehearsal",)]))

    async def models_retrieve(self, call: Call) -> Reply:
        """Every model exists."""
        return Reply.of(_model(call.ids[0]))


def _body(call: Call) -> dict[str, Any]:
    try:
        body = call.request.json()
    except ValueError:
        body = None
    if not isinstance(body, dict):
        said = "We could not parse the JSON body of your request."
        raise VendorError(400, "invalid_request_error", said)
    return body


_NAMES: dict[Meter, str] = {"rpm": "requests", "tpm": "tokens"}


def _allowances(realtime: Realtime, model: str, now: datetime) -> dict[str, str]:
    """Limits, what remains, and how long until each is full again, as Go writes durations."""
    headers: dict[str, str] = {}
    for meter, name in _NAMES.items():
        said = realtime.said(model, meter, now)
        if said is None:
            continue
        limit, remaining, until = said
        headers |= {
            f"x-ratelimit-limit-{name}": str(limit),
            f"x-ratelimit-remaining-{name}": str(remaining),
            f"x-ratelimit-reset-{name}": duration(until),
        }
    return headers


def duration(seconds: float) -> str:
    """`6m0s`, `1.5s`, `20ms`."""
    if seconds < 1:
        return f"{round(seconds * 1000)}ms"
    minutes, rest = divmod(round(seconds, 3), 60)
    return f"{minutes:.0f}m{rest:g}s" if minutes else f"{rest:g}s"


def _model(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": 0, "owned_by": "rehearsal"}


def _list(data: list[dict[str, Any]], *, more: bool = False) -> dict[str, Any]:
    return {
        "object": "list",
        "data": data,
        "first_id": data[0]["id"] if data else None,
        "last_id": data[-1]["id"] if data else None,
        "has_more": more,
    }


def _file(kept: File) -> dict[str, Any]:
    return {
        "object": "file",
        "id": kept.id,
        "purpose": kept.purpose,
        "filename": kept.name,
        "bytes": kept.blob.size,
        "created_at": unix(kept.created),
        "expires_at": unix(kept.expires),
        "status": "processed",
        "status_details": None,
    }


def _fit(asked: dict[str, Any]) -> None:
    """What is refused at once: a window, an endpoint or tags that do not exist like this."""
    if asked["endpoint"] not in ENDPOINTS:
        raise VendorError(400, "invalid_request_error", "Invalid value for 'endpoint'.")
    if asked["completion_window"] != "24h":
        raise VendorError(400, "invalid_request_error", "Invalid value for 'completion_window'.")
    tags = asked.get("metadata") or {}
    most, key_length, length = 16, 64, 512
    if len(tags) > most or any(
        len(key) > key_length or not isinstance(each, str) or len(each) > length
        for key, each in tags.items()
    ):
        raise VendorError(400, "invalid_request_error", "Invalid 'metadata'.", param="metadata")


def _errors(batch: Batch) -> dict[str, Any]:
    said: list[dict[str, Any]] = [
        {"code": each.code, "message": each.message, "line": each.line, "param": each.param}
        for each in batch.sheet.problems[:MOST_PROBLEMS]
    ]
    return {"object": "list", "data": said}


def _counts(batch: Batch, where: Stand) -> dict[str, int]:
    """Nothing is counted before the lines have been looked at."""
    if where.running_at is None:
        return {"total": 0, "completed": 0, "failed": 0}
    failed = batch.made.get("failed", 0)
    return {"total": batch.size, "completed": where.done - failed, "failed": failed}


def _total(billed: Billed) -> dict[str, Any]:
    written = billed.output + billed.reasoning
    read = billed.input + billed.cache_read + billed.cache_write
    return {
        "input_tokens": read,
        "input_tokens_details": {"cached_tokens": billed.cache_read},
        "output_tokens": written,
        "output_tokens_details": {"reasoning_tokens": billed.reasoning},
        "total_tokens": read + written,
    }


# --- uploads ----------------------------------------------------------------------------


@dataclass(slots=True)
class _Form:
    fields: dict[str, str] = field(default_factory=dict)
    file: Blob | None = None
    name: str = ""


_NAME = re.compile(rb'name="([^"]*)"')
_FILENAME = re.compile(rb'filename="([^"]*)"')
_PART_HEAD = 4096


def _form(blob: Blob, content_type: str) -> _Form:
    """The fields of a form, and where its file is; the file is not read into memory."""
    _, _, boundary = content_type.partition("boundary=")
    mark = b"--" + boundary.strip('"').encode()
    form, position = _Form(), 0
    while True:
        head_end = blob.find(b"\r\n\r\n", position)
        if head_end < 0 or not boundary:
            return form
        head = blob.read(position, min(head_end - position, _PART_HEAD))
        start = head_end + 4
        end = blob.find(b"\r\n" + mark, start)
        if end < 0:
            return form
        name, file = _NAME.search(head), _FILENAME.search(head)
        if file is not None:
            form.file = Blob(blob.path, blob.start + start, end - start)
            form.name = file.group(1).decode()
        elif name is not None:
            form.fields[name.group(1).decode()] = blob.read(start, end - start).decode()
        position = end + 2
