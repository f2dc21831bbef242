"""Faults as they reach the wire: refusals in place of an answer, and answers changed on the way."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from planner.handoff.rehearsal.http import Half, Lost, Reply
from planner.handoff.rehearsal.protocol import retry_after

if TYPE_CHECKING:
    from collections.abc import Callable

    from planner.handoff.rehearsal.faults import Fault
    from planner.handoff.rehearsal.http import Framing, Outcome
    from planner.handoff.rehearsal.protocol import Call, Speaker

PAGE = b"<html><head><title>Error</title></head><body><h1>Something went wrong</h1></body></html>"


def before(fault: Fault, speaker: Speaker, call: Call) -> Outcome:
    """What a request gets that has no effect."""
    if fault.kind in {"drop_before", "reset_before"}:
        return Lost(reset=fault.kind == "reset_before")
    if fault.kind in {"middlebox", "html"}:
        page = PAGE if fault.kind == "html" else b"not found"
        headers = {"content-type": "text/html" if fault.kind == "html" else "text/plain"}
        return Reply(fault.status, page, headers | retry_after(fault.retry_after))
    return refused(fault, speaker, call)


def refused(fault: Fault, speaker: Speaker, call: Call) -> Reply:
    """The vendor's own error, with its request id."""
    reply = speaker.error(speaker.refusal(fault), call.request_id)
    reply.headers |= speaker.headers(call)
    return reply


def after(fault: Fault, speaker: Speaker, call: Call, reply: Reply) -> Outcome | None:
    """What becomes of a reply; None: nothing."""
    if fault.kind in {"drop_after", "reset_after"}:
        return Lost(reset=fault.kind == "reset_after")
    if fault.kind == "half_reply":
        return Half()
    if fault.kind == "status_after":
        return refused(fault, speaker, call)
    framing = _FRAMING.get(fault.kind)
    if framing is not None:
        reply.framing, reply.cut = framing, fault.keep
        return reply
    if fault.kind == "blank_line":
        reply.body = _blank(_all(reply))
    elif fault.kind == "unknown_result":
        reply.body = _strange(_all(reply))
    elif fault.kind == "lying_headers":
        reply.headers |= _boasted(reply.headers)
    elif fault.kind in _CHANGES:
        reply.body = json.dumps(_changed(json.loads(_all(reply)), _CHANGES[fault.kind])).encode()
    return reply


_FRAMING: dict[str, Framing] = {
    "cut_length": "length",
    "cut_chunked": "chunked",
    "cut_eof": "eof",
}


def _all(reply: Reply) -> bytes:
    return reply.body if isinstance(reply.body, bytes) else reply.body.whole()


def _blank(body: bytes) -> bytes:
    """An empty line after the first one."""
    first, newline, rest = body.partition(b"\n")
    return first + newline + b"\n" + rest


def _strange(body: bytes) -> bytes:
    """A first result of a type that nobody has documented."""
    first, newline, rest = body.partition(b"\n")
    row = json.loads(first)
    if "result" in row:
        row["result"] = {"type": "deferred"}
    else:
        row["response"], row["error"] = None, None
    return json.dumps(row, separators=(",", ":")).encode() + newline + rest


def _boasted(headers: dict[str, str]) -> dict[str, str]:
    """All the room there ever is, in place of what remains."""
    there = [name for name in headers if "ratelimit" in name and "remaining" in name]
    return {name: headers[name.replace("remaining", "limit")] for name in there}


def _changed(value: Any, change: Callable[[dict[str, Any]], None]) -> Any:
    """A batch, or each batch of a list."""
    for each in value["data"] if isinstance(value.get("data"), list) else [value]:
        change(each)
    return value


def _unknown_status(batch: dict[str, Any]) -> None:
    batch["processing_status" if "processing_status" in batch else "status"] = "scheduling"


def _no_counts(batch: dict[str, Any]) -> None:
    batch["request_counts"] = None


def _empty_ids(batch: dict[str, Any]) -> None:
    for key in ("output_file_id", "error_file_id", "results_url"):
        if key in batch and batch[key] is None:
            batch[key] = ""


_CHANGES: dict[str, Callable[[dict[str, Any]], None]] = {
    "unknown_status": _unknown_status,
    "no_counts": _no_counts,
    "empty_ids": _empty_ids,
}
