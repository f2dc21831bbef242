"""The shipped sample is what the documentation says of it, and works with its own prompt."""

from __future__ import annotations

import json
import re

import pytest

from planner.sample import paths
from planner.workload.prompt import choose, requests
from planner.workload.readers import Row, open_workload


@pytest.fixture(scope="module")
def tickets() -> list[Row]:
    return list(open_workload(paths().rows).rows())


def texts(tickets: list[Row], column: str) -> list[str]:
    return [str(row.fields[column]) for row in tickets]


def test_there_are_seventy_different_tickets(tickets: list[Row]) -> None:
    assert len(tickets) == 70
    assert len(set(texts(tickets, "id"))) == 70
    assert len(set(texts(tickets, "body"))) == 70


def test_they_are_short_and_long_in_many_languages(tickets: list[Row]) -> None:
    words = [len(body.split()) for body in texts(tickets, "body")]
    assert min(words) == 1
    assert max(words) > 400
    assert {"en", "de", "es", "fr", "ja", "zh", "pt", "ar"} <= set(texts(tickets, "language"))


@pytest.mark.parametrize("hard", ["\n", '"', ",", "🎉", "```json", "Traceback", "ERROR channel"])
def test_they_hold_what_makes_real_tickets_hard(tickets: list[Row], hard: str) -> None:
    assert any(hard in body for body in texts(tickets, "body"))


def test_every_answer_is_what_the_prompt_asks_for(tickets: list[Row]) -> None:
    categories = set(
        re.findall(r"^- (\w+):", paths().prompt.read_text("utf-8"), flags=re.MULTILINE)
    )
    answers = [json.loads(text) for text in texts(tickets, paths().output_field)]
    assert {answer["category"] for answer in answers} == categories
    assert {answer["priority"] for answer in answers} == {"urgent", "high", "normal", "low"}
    assert all(answer["reason"].endswith(".") and answer["reply"] for answer in answers)


def test_the_prompt_fits_the_rows(tickets: list[Row]) -> None:
    workload = open_workload(paths().rows)
    prompt = choose(workload, prompt=paths().prompt.read_text("utf-8")).prompt
    made = [request for _, request in requests(workload.rows(), prompt)]
    assert len(made) == 70
    for row, request in zip(tickets, made, strict=True):
        (message,) = request.messages
        assert str(row.fields["body"]) in message.content
        assert str(row.fields["answer"]) not in message.content
        assert "{{" not in message.content
