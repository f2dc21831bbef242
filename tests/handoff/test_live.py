"""`check --live` with the vendors' own libraries, against a server on this machine."""

from __future__ import annotations

import json
import os
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.answers import Answer, Ask

HAIKU = "claude-haiku-5-5"
CAPABLE = (
    "batch citations code_execution image_input pdf_input structured_outputs server_tools"
).split()


class Vendor:
    """Answers by path; whatever it was asked is kept."""

    def __init__(self) -> None:
        self.answers: dict[str, tuple[int, Any]] = {}
        self.asked: list[tuple[str, str, dict[str, str], str]] = []

    def reply(self, method: str, target: str, headers: Any) -> tuple[int, Any]:
        url = urlsplit(target)
        query = dict(parse_qsl(url.query))
        key = headers.get("x-api-key") or headers.get("authorization", "")
        self.asked.append((method, url.path, query, key))
        named = f"{url.path}?{query.get('group_type', '')}".rstrip("?")
        missing = (404, {"type": "error", "error": {"type": "not_found_error", "message": "no"}})
        return self.answers.get(named, missing)


@contextmanager
def serving(vendor: Vendor) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = vendor.reply("GET", self.path, self.headers)
            raw = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def vendor(monkeypatch: pytest.MonkeyPatch) -> Iterator[Vendor]:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    made = Vendor()
    with serving(made) as url:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", url)
        monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-invented")
        monkeypatch.setenv("OPENAI_BASE_URL", f"{url}/v1")
        monkeypatch.setenv("OPENAI_API_KEY", "sk-invented")
        yield made


def claude(name: str = HAIKU, **changes: Any) -> dict[str, Any]:
    batch = changes.pop("batch", True)
    capabilities: dict[str, Any] = {each: {"supported": True} for each in CAPABLE}
    capabilities |= {"batch": {"supported": batch}, "thinking": {}, "effort": {}}
    return {
        "type": "model",
        "id": name,
        "display_name": name,
        "created_at": "2026-10-07T00:00:00Z",
        "lifecycle": "active",
        "max_input_tokens": 1000000,
        "max_tokens": 128000,
        "capabilities": capabilities,
        **changes,
    }


def limits(**values: int) -> dict[str, Any]:
    entry = {
        "type": "rate_limit",
        "id": "rl_1",
        "group": {"type": "batch", "id": "rlg_1"},
        "limits": [{"type": name, "value": value} for name, value in values.items()],
    }
    return {"data": [entry], "next_page": None}


def anthropic(vendor: Vendor, *listed: dict[str, Any]) -> None:
    models = listed or (claude(),)
    page = {"data": list(models), "has_more": False, "first_id": None, "last_id": None}
    vendor.answers["/v1/models"] = (200, page)
    for model in models:
        vendor.answers[f"/v1/models/{model['id']}"] = (200, model)
    rates = "/v1/organizations/rate_limits"
    vendor.answers[f"{rates}?batch"] = (
        200,
        limits(requests_per_minute=1000, enqueued_batch_requests=200000),
    )
    vendor.answers[f"{rates}?model_group"] = (200, limits(requests_per_minute=777))


def live(answer: Answer) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(answer.out)["live"]
    return found


def test_a_catalog_that_is_right_is_said_to_be(ask: Ask, vendor: Vendor) -> None:
    anthropic(vendor)
    answer = ask("check", HAIKU, "--live")
    assert (answer.exit_code, answer.err) == (0, "")
    assert answer.out.splitlines()[-5:] == [
        f"  asked now: {os.environ['ANTHROPIC_BASE_URL']}/v1/models/{HAIKU}",
        "    the catalog agrees",
        "    your batch limits: rpm 1,000, queued_requests 200,000",
        "    your limits: rpm 777",
        "    those of usage tier start",
    ]


def test_only_questions_are_asked_each_with_the_key(ask: Ask, vendor: Vendor) -> None:
    anthropic(vendor)
    ask("check", HAIKU, "--live")
    assert {(method, path) for method, path, _, _ in vendor.asked} == {
        ("GET", "/v1/models"),
        ("GET", f"/v1/models/{HAIKU}"),
        ("GET", "/v1/organizations/rate_limits"),
    }
    assert all("sk-ant-invented" in key for *_, key in vendor.asked)
    assert {"group_type": "model_group", "model": HAIKU} in [
        query for _, _, query, _ in vendor.asked
    ]


@pytest.mark.parametrize(
    ("changes", "difference"),
    [
        ({"batch": False}, "batch: the vendor says no, the catalog yes"),
        ({"max_tokens": 64000}, "most output tokens: the vendor says 64,000, the catalog 128,000"),
        (
            {"max_input_tokens": 200000},
            "most input tokens: the vendor says 200,000, the catalog 1,000,000",
        ),
        (
            {"lifecycle": "deprecated", "retires_at": "2027-12-01T00:00:00Z"},
            "retires: the vendor says 2027-12-01, the catalog nothing",
        ),
    ],
)
def test_where_the_catalog_is_behind(
    ask: Ask, vendor: Vendor, changes: dict[str, Any], difference: str
) -> None:
    anthropic(vendor, claude(**changes))
    answer = ask("check", HAIKU, "--live", "--format", "json")
    assert answer.exit_code == 0, "the answer stays the catalog's"
    assert live(answer)["differences"] == [difference]


def test_a_model_that_the_vendor_does_not_list(ask: Ask, vendor: Vendor) -> None:
    anthropic(vendor, claude("claude-other"))
    found = live(ask("check", HAIKU, "--live", "--format", "json"))
    assert found["listed"] is False
    assert found["differences"] == [
        f"the vendor does not list {HAIKU} for this key; the catalog sells it"
    ]


def test_models_newer_than_the_catalog_are_named(ask: Ask, vendor: Vendor) -> None:
    new = claude("claude-next-7", created_at="2026-12-24T00:00:00Z")
    old = claude("claude-ancient-1", created_at="2024-01-01T00:00:00Z")
    anthropic(vendor, claude(), new, old)
    assert live(ask("check", HAIKU, "--live", "--format", "json"))["newer_models"] == [
        "claude-next-7"
    ]


def test_limits_that_the_key_may_not_read(ask: Ask, vendor: Vendor) -> None:
    anthropic(vendor)
    error = {"type": "error", "error": {"type": "permission_error", "message": "admins only"}}
    vendor.answers["/v1/organizations/rate_limits?batch"] = (403, error)
    found = live(ask("check", HAIKU, "--live", "--format", "json"))
    assert (found["limits"], found["tiers"]) == ([], [])
    assert found["notes"] == ["the organisation's limits were not told (403)"]


@pytest.mark.parametrize("model", [HAIKU, "gpt-6-sol"])
def test_a_refused_key(ask: Ask, vendor: Vendor, model: str) -> None:
    error = {"type": "error", "error": {"type": "authentication_error", "message": "bad key"}}
    vendor.answers["/v1/models"] = (401, error)
    answer = ask("check", model, "--live")
    assert (answer.exit_code, answer.out) == (4, "")
    assert answer.err.startswith("error[vendor-refused]: ")
    assert "answered 401" in answer.err
    assert "invented" not in answer.err


@pytest.mark.parametrize(
    ("model", "name"), [(HAIKU, "ANTHROPIC_API_KEY"), ("gpt-6-sol", "OPENAI_API_KEY")]
)
def test_without_a_key(
    ask: Ask, vendor: Vendor, monkeypatch: pytest.MonkeyPatch, model: str, name: str
) -> None:
    monkeypatch.delenv(name)
    answer = ask("check", model, "--live")
    assert (answer.exit_code, answer.out) == (4, "")
    assert answer.err.startswith("error[no-key]: no key for ")
    assert f"hint: set {name}; without --live the catalog answers alone" in answer.err
    assert vendor.asked == []


def test_out_of_reach(ask: Ask, vendor: Vendor, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(Vendor()) as gone:
        pass
    monkeypatch.setenv("OPENAI_BASE_URL", f"{gone}/v1")
    answer = ask("check", "gpt-6-sol", "--live")
    assert answer.exit_code == 4
    assert answer.err.startswith("error[no-answer]: OpenAI cannot be reached")


def openai(vendor: Vendor, **changes: Any) -> None:
    model = {"id": "gpt-6-sol", "object": "model", "created": 1790000000, "owned_by": "openai"}
    new = model | {"id": "gpt-7", "created": 1798500000}
    page = {"object": "list", "data": [model | changes, new]}
    vendor.answers["/v1/models"] = (200, page)


def test_openai_lists_what_there_is(ask: Ask, vendor: Vendor) -> None:
    openai(vendor)
    answer = ask("check", "gpt-6-sol", "--live", "--format", "json")
    found = live(answer)
    assert answer.exit_code == 0
    assert (found["listed"], found["batch_supported"], found["differences"]) == (True, None, [])
    assert found["newer_models"] == ["gpt-7"]
    assert found["notes"] == ["the list says nothing of batch support, sizes or your limits"]


def test_a_shutdown_date_that_the_catalog_lacks(ask: Ask, vendor: Vendor) -> None:
    openai(vendor, shutdown_date="2027-05-01")
    found = live(ask("check", "gpt-6-sol", "--live", "--format", "json"))
    assert found["differences"] == ["retires: the vendor says 2027-05-01, the catalog nothing"]


def test_a_vendor_that_is_not_asked(ask: Ask, vendor: Vendor) -> None:
    answer = ask("check", "grok-4.3", "--live")
    assert answer.exit_code == 3
    assert answer.err == (
        "error[no-live]: planner asks nothing of xAI itself\n"
        "  hint: --live works for anthropic, openai\n"
    )


@pytest.mark.parametrize(
    ("rules", "named"),
    [
        ("vendors: [openai]", "vendor anthropic; allowed: openai"),
        ("base_urls: ['https://api.anthropic.com']", "allowed: https://api.anthropic.com"),
    ],
    ids=["vendor", "address"],
)
def test_what_a_policy_forbids_is_not_asked(
    vendor: Vendor,
    ask: Ask,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    rules: str,
    named: str,
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    (tmp_path / "planner").mkdir()
    (tmp_path / "planner" / "policy.yaml").write_text(f"{rules}\n")
    answer = ask("check", HAIKU, "--live")
    assert answer.exit_code == 2
    assert named in answer.err
    assert vendor.asked == []
    assert ask("check", HAIKU).exit_code == 0, "the catalog asks nobody"


def test_what_a_policy_allows_is_asked(
    vendor: Vendor, ask: Ask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    (tmp_path / "planner").mkdir()
    (tmp_path / "planner" / "policy.yaml").write_text("vendors: [anthropic]\n")
    ask("check", HAIKU, "--live")
    assert vendor.asked
