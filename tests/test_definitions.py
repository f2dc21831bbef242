"""Tools and schemas that a job adds to each request are counted as if the rows brought them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.answers import Ask

MODEL = "gpt-5.4-mini"
TEXTS = ("Where is my order?", "It never came.", "Please send it again, to my new address.")
SCHEMA = {"type": "object", "properties": {"kind": {"type": "string"}}, "required": ["kind"]}
TOOLS = [
    {"type": "function", "function": {"name": "look", "description": "Look.", "parameters": SCHEMA}}
]
WRAPPED = {"type": "json_schema", "json_schema": {"name": "answer", "schema": SCHEMA}}


def rows(path: Path, **more: Any) -> Path:
    """The texts as a request file of its own, each request with those parameters."""
    lines = (
        {
            "custom_id": str(number),
            "method": "POST",
            "url": "/v1/chat/completions",
            "body": {"model": MODEL, "messages": [{"role": "user", "content": text}], **more},
        }
        for number, text in enumerate(TEXTS)
    )
    path.write_text("".join(f"{json.dumps(each)}\n" for each in lines))
    return path


def prompt_tokens(ask: Ask, *arguments: str) -> dict[str, int]:
    """Value, low and high of the prompts."""
    answer = ask(
        "estimate", *arguments, "--model", MODEL, "--output-tokens", "9", "--format", "json"
    )
    assert answer.exit_code == 0, answer.err
    found = json.loads(answer.out)["tokens"][0]["input"]
    return {name: found[name] for name in ("value", "low", "high")}


@pytest.mark.parametrize(
    ("flags", "own"),
    [
        (("--json-schema", "schema.json"), {"response_format": WRAPPED}),
        (("--param", f"response_format={json.dumps(WRAPPED)}"), {"response_format": WRAPPED}),
        (("--param", f"tools={json.dumps(TOOLS)}"), {"tools": TOOLS}),
        (
            ("--param", f"tools={json.dumps(TOOLS)}", "--param", 'tool_choice="required"'),
            {"tools": TOOLS, "tool_choice": "required"},
        ),
    ],
    ids=["schema", "schema as a parameter", "tools", "a tool that must be called"],
)
def test_given_once_or_in_every_row_counts_the_same(
    ask: Ask,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    flags: tuple[str, ...],
    own: dict[str, Any],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "schema.json").write_text(json.dumps(SCHEMA))
    plain = tmp_path / "texts.csv"
    plain.write_text("text\n" + "".join(f'"{text}"\n' for text in TEXTS))
    given = prompt_tokens(ask, str(plain), *flags)
    assert given == prompt_tokens(ask, str(rows(tmp_path / "ready.jsonl", **own)))
    assert given["value"] > prompt_tokens(ask, str(plain))["value"]


def test_a_schema_that_is_no_object_is_refused(ask: Ask, tmp_path: Path) -> None:
    wrong = tmp_path / "schema.json"
    wrong.write_text("[]")
    answer = ask("estimate", "sample", "--model", MODEL, "--json-schema", str(wrong))
    assert answer.exit_code == 2
    assert "is not a JSON object" in answer.err
