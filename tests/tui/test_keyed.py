"""A sentence of the core, said to somebody who has keys."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from planner.decision.requirements import Requirements
from planner.job import Job
from planner.tui.desk import Desk
from planner.tui.keyed import keyed
from planner.tui.pieces import plain
from planner.tui.session import asked_of
from planner.tui.view import explanation, why
from tests.answers import NOW

if TYPE_CHECKING:
    from planner.catalog import Catalog


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        (
            "give --output-tokens or --output-sample, or say --accept-assumed",
            "e types answer tokens",
        ),
        (
            "plan again with --output-tokens or --output-sample, or with --accept-assumed",
            "e types answer tokens",
        ),
        (
            "--skip-bad-rows leaves such rows out and counts them",
            "b leaves such rows out and counts them",
        ),
        ("save it as UTF-8, or --skip-bad-rows", "save it as UTF-8, or b"),
        ("the lowest (--tier openai=NAME)", "the lowest (e: usage tier)"),
        ("2 s an answer, grade D): --latency", "2 s an answer, grade D); e: answer time"),
        ("name one: --prompt '{{ a }}'; columns: a", "p types one, such as {{ a }}; columns: a"),
        ("name it, for instance --prompt '{{ a }}'", "p types one, such as {{ a }}"),
        ("--as-of has no key", "--as-of has no key"),
    ],
)
def test_a_flag_that_has_a_key_is_said_as_the_key(said: str, shown: str) -> None:
    assert keyed(said) == shown


def test_what_the_form_settles_is_not_said_as_a_flag(facts: Catalog) -> None:
    """Of a job of which nothing is known, all is assumed: each sentence names a key."""
    demand = Requirements(deadline=6 * 3600.0)
    job = Job(rows=5000, input_tokens=500, models=("acme-tall",), requirements=demand)
    desk = Desk(catalog_loader=lambda: facts, clock=lambda: NOW, on=NOW.date())
    answer = desk.answer(desk.measure(job, lambda _rows, _done: None), asked_of(job).inputs)
    for option in answer.estimate.decision.options:
        for said in (why(answer, option.id), explanation(answer, option.id)):
            text = "\n".join(plain(each.body) for each in said)
            assert "e types answer tokens" in text
            assert not re.findall(r"--(?:output|latency|tier|limit|skip)\S*", text)
