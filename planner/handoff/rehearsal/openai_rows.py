"""Rows of OpenAI's batch files and what they are answered, in the words of both endpoints."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from planner.handoff.rehearsal import protocol
from planner.handoff.rehearsal.http import encoded
from planner.handoff.rehearsal.laws import CHARACTERS_A_TOKEN, Billed, RowError
from planner.handoff.rehearsal.spool import Blob, lines
from planner.handoff.rehearsal.world import Problem, Sheet, hexadecimal, stand, token

if TYPE_CHECKING:
    from datetime import datetime
    from typing import BinaryIO

    from planner.handoff.rehearsal.laws import Answer
    from planner.handoff.rehearsal.protocol import Call
    from planner.handoff.rehearsal.world import Batch, World

RESPONSES = "/v1/responses"
CHAT = "/v1/chat/completions"
ENDPOINTS = (RESPONSES, CHAT)
LIMITS = ("max_output_tokens", "max_completion_tokens", "max_tokens")
READ = ("instructions", "input", "messages", "tools")


def unix(moment: datetime | None) -> int | None:
    """Seconds, as this vendor writes times."""
    return None if moment is None else int(moment.timestamp())


def sheet_of(blob: Blob, endpoint: str, call: Call) -> Sheet:
    """Read the lines of a file; what is wrong is told later, by the failed batch."""
    world, habits = call.world, call.world.habits
    rows = lines(blob)
    sheet = Sheet(rows=rows)
    seen: set[int] = set()
    for number, raw in rows.all():
        problem = _problem(raw, endpoint, sheet, seen)
        if problem is not None:
            code, message, param = problem
            told = Problem(code=code, message=message, line=number + 1, param=param)
            sheet.problems.append(told)
    if not rows:
        sheet.problems.append(Problem(code="empty_file", message="The input file is empty."))
    if len(rows) > habits.batch_rows or blob.size > habits.batch_bytes:
        sheet.problems.append(
            Problem(code="too_many_tasks", message="The batch input file has too many tasks.")
        )
    _queue(sheet, call)
    world.models[sheet.model] = None
    return sheet


def _queue(sheet: Sheet, call: Call) -> None:
    """A full queue is found when the lines are looked at, not when the batch is made."""
    most = call.world.habits.queued_tokens
    if most is None or sheet.problems:
        return
    queued = call.world.queued(call.now, sheet.model)[1]
    if queued + sheet.tokens > most:
        message = (
            f"Enqueued token limit reached for {sheet.model} in organization. Limit: {most} "
            "enqueued tokens. Please try again once some in_progress batches have been completed."
        )
        sheet.problems.append(Problem(code="token_limit_exceeded", message=message))


def _problem(
    raw: bytes, endpoint: str, sheet: Sheet, seen: set[int]
) -> tuple[str, str, str | None] | None:
    """Code, message and parameter of what is wrong with a line."""
    try:
        row = json.loads(raw)
        custom_id, url, body = row["custom_id"], row["url"], row["body"]
    except ValueError:
        return "invalid_json_line", "This line is not parseable as valid JSON.", None
    except (KeyError, TypeError) as error:
        missing = str(error).strip("'")
        return "missing_required_parameter", f"Missing required parameter: '{missing}'.", missing
    if hash(custom_id) in seen:
        return "duplicate_custom_id", f"The custom_id {custom_id} is used twice.", "custom_id"
    seen.add(hash(custom_id))
    if url != endpoint or row.get("method") != "POST":
        return "mismatched_url", f"The url {url} does not match the batch: {endpoint}.", "url"
    model = str(body.get("model", ""))
    sheet.model = sheet.model or model
    if model != sheet.model:
        return "mismatched_model", f"The model {model} is not {sheet.model}.", "body.model"
    sheet.tokens += protocol.text_characters(body, *READ) // CHARACTERS_A_TOKEN
    return None


def results(batch: Batch, world: World, now: datetime) -> dict[str, Any]:
    """Write output and error file of a batch that has ended, and add up what it costs."""
    done, undone = protocol.split(batch, now, world.seed)
    expired = stand(batch, now).phase == "expired"
    billed, failed = Billed(), 0
    paths = {"output": world.spool.path(), "error": world.spool.path()}
    with paths["output"].open("wb") as output, paths["error"].open("wb") as errors:
        for _, raw in batch.sheet.rows.each(done):
            answer = _write(json.loads(raw), world, batch, output, errors)
            failed += answer is None
            if answer is not None:
                billed.add(answer)
        if expired or world.habits.cancelled_rows_listed:
            for _, raw in batch.sheet.rows.each(undone):
                errors.write(_never(json.loads(raw)["custom_id"], world, batch, expired=expired))
    made = {kind: Blob(path, 0, path.stat().st_size) for kind, path in paths.items()}
    return {**made, "failed": failed, "billed": billed}


def _write(
    row: dict[str, Any], world: World, batch: Batch, output: BinaryIO, errors: BinaryIO
) -> Answer | None:
    custom_id, body = row["custom_id"], row["body"]
    error = world.answers.wrong(world.seed, custom_id) or invalid(body, row["url"])
    if error is not None:
        said = _error_body(error)
        errors.write(_line(custom_id, world, batch, status=error.status, body=said))
        return None
    answer = answered(custom_id, body, world)
    made = response(answer, body, world, custom_id, row["url"], batch.created, tier="default")
    output.write(_line(custom_id, world, batch, status=200, body=made))
    return answer


def _line(custom_id: str, world: World, batch: Batch, *, status: int, body: Any) -> bytes:
    response = {
        "status_code": status,
        "request_id": hexadecimal(world.seed, "request", custom_id),
        "body": body,
    }
    return _enveloped(custom_id, world, batch, response, None)


def _never(custom_id: str, world: World, batch: Batch, *, expired: bool) -> bytes:
    """The line of a row that never had its turn."""
    code = "batch_expired" if expired else "batch_cancelled"
    why = "before the completion window expired" if expired else "because the batch was cancelled"
    error = {"code": code, "message": f"This request could not be executed {why}."}
    return _enveloped(custom_id, world, batch, None, error)


def _enveloped(custom_id: str, world: World, batch: Batch, response: Any, error: Any) -> bytes:
    said = {
        "id": "batch_req_" + hexadecimal(world.seed, batch.id, custom_id),
        "custom_id": custom_id,
        "response": response,
        "error": error,
    }
    return encoded(said) + b"\n"


def _error_body(error: RowError) -> dict[str, Any]:
    said = {"message": error.message, "type": error.kind, "param": None, "code": error.code}
    return {"error": said}


def limit(body: dict[str, Any]) -> int | None:
    """The most output tokens that a body asks for."""
    return next((body[key] for key in LIMITS if body.get(key) is not None), None)


def answered(key: str, body: dict[str, Any], world: World) -> Answer:
    """What a row is answered."""
    length = protocol.text_characters(body, *READ)
    return protocol.answered(world, key, body, length=length, limit=limit(body))


def invalid(body: dict[str, Any], url: str) -> RowError | None:
    """What this vendor finds only when a row has its turn."""
    wanted = "input" if url == RESPONSES else "messages"
    if not body.get(wanted):
        return RowError(message=f"Missing required parameter: '{wanted}'.")
    if body.get("stream"):
        return RowError(message="Streaming is not supported in a batch.")
    return None


def response(
    answer: Answer,
    body: dict[str, Any],
    world: World,
    key: str,
    url: str,
    created: datetime,
    *,
    tier: str,
) -> dict[str, Any]:
    """The body of an answer, by the endpoint that was asked."""
    make = _response_object if url == RESPONSES else _completion
    return make(answer, body, world, key, created) | {"service_tier": tier}


def _completion(
    answer: Answer, body: dict[str, Any], world: World, key: str, created: datetime
) -> dict[str, Any]:
    said: dict[str, Any] = {
        "role": "assistant",
        "content": answer.text,
        "refusal": None,
        "annotations": [],
    }
    choice = {
        "index": 0,
        "message": said,
        "logprobs": None,
        "finish_reason": "length" if answer.truncated else "stop",
    }
    return {
        "id": "chatcmpl-" + token(world.seed, "chat", key),
        "object": "chat.completion",
        "created": unix(created),
        "model": body.get("model", ""),
        "choices": [choice],
        "usage": _chat_usage(answer),
        "system_fingerprint": None,
    }


def _chat_usage(answer: Answer) -> dict[str, Any]:
    """Prompt tokens contain the cached ones, completion tokens the thought ones."""
    read = answer.input + answer.cache_read + answer.cache_write
    written = answer.output + answer.reasoning
    prompt: dict[str, Any] = {"cached_tokens": answer.cache_read, "audio_tokens": 0}
    if answer.cache_write:
        prompt["cache_write_tokens"] = answer.cache_write
    return {
        "prompt_tokens": read,
        "completion_tokens": written,
        "total_tokens": read + written,
        "prompt_tokens_details": prompt,
        "completion_tokens_details": {
            "reasoning_tokens": answer.reasoning,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def _response_object(
    answer: Answer, body: dict[str, Any], world: World, key: str, created: datetime
) -> dict[str, Any]:
    status = "incomplete" if answer.truncated else "completed"
    content = {"type": "output_text", "text": answer.text, "annotations": [], "logprobs": []}
    message = {
        "id": "msg_" + hexadecimal(world.seed, "msg", key),
        "type": "message",
        "status": status,
        "role": "assistant",
        "content": [content],
    }
    thought = [{"id": f"rs_{key}", "type": "reasoning", "summary": []}] if answer.reasoning else []
    return {
        "id": "resp_" + hexadecimal(world.seed, "resp", key),
        "object": "response",
        "created_at": unix(created),
        "status": status,
        "error": None,
        "incomplete_details": {"reason": "max_output_tokens"} if answer.truncated else None,
        "instructions": body.get("instructions"),
        "max_output_tokens": body.get("max_output_tokens"),
        "model": body.get("model", ""),
        "output": [*thought, message],
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "usage": _response_usage(answer),
        "metadata": body.get("metadata") or {},
    }


def _response_usage(answer: Answer) -> dict[str, Any]:
    """Input tokens contain those read from and written to a cache."""
    read = answer.input + answer.cache_read + answer.cache_write
    written = answer.output + answer.reasoning
    details = {"cached_tokens": answer.cache_read, "cache_write_tokens": answer.cache_write}
    return {
        "input_tokens": read,
        "input_tokens_details": details,
        "output_tokens": written,
        "output_tokens_details": {"reasoning_tokens": answer.reasoning},
        "total_tokens": read + written,
    }
