"""The plan as a file: named by its content, whole or absent, and stale when something moved."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner import catalog as catalogs
from planner import drafting, strict_yaml
from planner.errors import InputError
from planner.handoff import plan as plans
from tests.answers import NOW

if TYPE_CHECKING:
    from pathlib import Path

    from planner.catalog import Catalog
    from planner.handoff.plan import Plan
    from tests.answers import Answer, Ask

MODEL = "claude-haiku-5-5"
ROWS = [{"id": f"k{n}", "text": f"Where is my order number {n}? It is late."} for n in range(40)]


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS), encoding="utf-8")
    return path


@pytest.fixture
def facts() -> Catalog:
    return catalogs.load()


def planned(ask: Ask, rows: Path, *more: str, now: datetime = NOW, to: str = "a.plan.yaml") -> Path:
    path = rows.parent / to
    answer = asked(ask, rows, "-o", str(path), *more, now=now)
    assert answer.exit_code == 0, answer.err
    return path


def asked(ask: Ask, rows: Path, *more: str, now: datetime = NOW) -> Answer:
    job = ("--prompt", "Answer: {{ text }}", "--model", MODEL, "--output-tokens", "20")
    return ask("plan", str(rows), *job, *more, now=now)


def changed(plan: Plan, **parts: Any) -> Plan:
    return plans.sealed({**plans.content(plan), **parts})


# --- what it says -----------------------------------------------------------------------


def test_a_plan_pins_what_will_be_sent(ask: Ask, rows: Path) -> None:
    plan = plans.read(planned(ask, rows, "--max-cost", "5", "--deadline", "30h", "--key", "id"))
    assert plan.schema_ == "planner.plan/1"
    assert plan.workload.path == "rows.jsonl"
    assert plan.workload.rows.value == len(ROWS)
    assert plan.request.prompt is not None
    assert plan.request.prompt.text == "Answer: {{ text }}"
    assert plan.request.prompt.digest == plans.digest("Answer: {{ text }}")
    assert plan.request.max_output_tokens == 128
    assert plan.demand.max_cost == 5
    assert plan.demand.deadline == "2026-11-23T18:00:00+00:00"
    assert plan.cost.expected <= plan.cost.p95 <= plan.cost.ceiling
    assert plan.cost.expected == sum(part.amount for part in plan.cost.components)
    assert all(each.url and each.read for each in plan.rates[0].sources)
    assert plan.stale.after == "2026-11-29T12:00:00+00:00"


def test_the_recommended_option_is_taken_and_another_says_what_it_gives_up(
    ask: Ask, rows: Path
) -> None:
    taken = plans.read(planned(ask, rows))
    assert taken.choice.option == taken.choice.recommended == f"{MODEL}/batch"
    assert taken.choice.gives_up == ()
    other = planned(ask, rows, "--choose", f"{MODEL}/standard", to="b.plan.yaml")
    plan = plans.read(other)
    assert plan.choice.option == f"{MODEL}/standard"
    assert plan.choice.recommended == f"{MODEL}/batch"
    assert f"more than {MODEL}/batch" in plan.choice.gives_up[0]


def test_an_option_that_cannot_run_is_a_no(ask: Ask, rows: Path) -> None:
    answer = asked(ask, rows, "--choose", f"{MODEL}/fast")
    assert answer.exit_code == 1
    assert "cannot run" in answer.err
    assert asked(ask, rows, "--choose", f"{MODEL}/btch").exit_code == 2


def test_over_the_cap_there_is_no_plan(ask: Ask, rows: Path, tmp_path: Path) -> None:
    answer = asked(ask, rows, "--max-cost", "0.0000001", "-o", str(tmp_path / "x.plan.yaml"))
    assert answer.exit_code == 1
    assert not (tmp_path / "x.plan.yaml").exists()


def test_no_plan_rests_on_an_assumed_length_unless_that_is_accepted(ask: Ask, rows: Path) -> None:
    job = ("plan", str(rows), "--prompt", "{{ text }}", "--model", MODEL)
    refused = ask(*job)
    assert refused.exit_code == 2
    assert "assumed-output" in refused.err
    path = rows.parent / "c.plan.yaml"
    assert ask(*job, "--accept-assumed", "-o", str(path)).exit_code == 0
    assert plans.read(path).accepted.assumed_output


def test_no_plan_rests_on_stale_sources_unless_that_is_allowed(ask: Ask, rows: Path) -> None:
    later = NOW + timedelta(days=400)
    refused = asked(ask, rows, now=later)
    assert (refused.exit_code, "stale-sources" in refused.err) == (2, True)
    plan = plans.read(planned(ask, rows, "--allow-stale", now=later))
    assert plan.accepted.stale


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("--rows", "10", "--input-tokens", "5", "--model", MODEL), "no-rows"),
        (("ROWS", "--of-rows", "4000", "--prompt", "{{ text }}", "--model", MODEL), "of-rows"),
        (("ROWS", "--prompt", "{{ text }}"), "no-model"),
        (("ROWS", "--prompt", "{{ text }}", "--model", MODEL, "--key", "di"), "unknown-column"),
        (("ROWS", "--prompt", "x", "--model", MODEL, "--param", "top_k=five"), "not-json"),
        (("ROWS", "--prompt", "x", "--model", MODEL, "--param", "top_k"), "bad-option"),
        (("ROWS", "--prompt", "x", "--model", MODEL, "--param", "max_tokens=9"), "own-parameter"),
        (("ROWS", "--prompt", "x", "--model", MODEL, "--endpoint", "/v2"), "unknown-endpoint"),
    ],
)
def test_what_cannot_be_planned_says_why(
    ask: Ask, rows: Path, arguments: tuple[str, ...], code: str
) -> None:
    words = [str(rows) if word == "ROWS" else word for word in arguments]
    answer = ask("plan", *words, "--output-tokens", "20")
    assert answer.exit_code == 2
    assert f"error[{code}]" in answer.err


# --- the file ---------------------------------------------------------------------------


def test_the_id_is_the_digest_of_the_content(ask: Ask, rows: Path) -> None:
    plan = plans.read(planned(ask, rows))
    assert plan.id == plans.identity(plans.content(plan))
    assert changed(plan, created="2026-11-22T13:00:00+00:00").id != plan.id
    assert plans.placed(plan, rows, rows.parent / "elsewhere").id == plan.id


def test_an_edited_plan_is_refused(ask: Ask, rows: Path) -> None:
    path = planned(ask, rows, "--max-cost", "5")
    path.write_text(path.read_text().replace("max_cost: 5", "max_cost: 6"))
    with pytest.raises(InputError, match="changed after it was made"):
        plans.read(path)


@pytest.mark.parametrize("more", [": no yaml", "{", "more: 1\n", "\x00", "id: twice\n"])
def test_what_is_appended_to_a_plan_is_a_change_and_said_so(
    ask: Ask, rows: Path, more: str
) -> None:
    path = planned(ask, rows)
    path.write_text(path.read_text() + more)
    answer = ask("submit", str(path))
    assert answer.exit_code == 2
    assert "error[plan-edited]" in answer.err
    assert "was changed after it was made" in answer.err
    assert "hint: take the file as planner plan wrote it, or make another plan" in answer.err


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.csv", "notes.txt", "job.yaml", "zeros.bin"])
def test_rows_are_no_plan_and_the_answer_says_how_to_make_one(
    ask: Ask, rows: Path, name: str
) -> None:
    path = rows.parent / name
    if name == "zeros.bin":
        path.write_bytes(b"\xff\x00" * 50)
    elif path != rows:
        path.write_text('id,text\n1,"Where: is it?"\n' if name != "job.yaml" else "model: x\n")
    for command in ("submit", "plan-diff"):
        answer = ask(command, str(path), *([str(path)] if command == "plan-diff" else []))
        assert answer.exit_code == 2
        assert f"error[not-a-plan]: {path} is not a plan" in answer.err
        assert f"hint: make one: planner plan {path} ..." in answer.err


def test_a_plan_that_is_not_there_is_not_called_no_plan(ask: Ask, tmp_path: Path) -> None:
    answer = ask("submit", str(tmp_path / "none.plan.yaml"))
    assert (answer.exit_code, "error[unreadable]" in answer.err) == (2, True)


def test_another_plan_is_not_overwritten(ask: Ask, rows: Path) -> None:
    path = planned(ask, rows)
    first = path.read_bytes()
    again = asked(ask, rows, "-o", str(path), now=NOW + timedelta(minutes=5))
    assert (again.exit_code, path.read_bytes()) == (0, first), "the same job: it stays"
    refused = asked(ask, rows, "-o", str(path), "--max-cost", "9")
    assert (refused.exit_code, "plan-exists" in refused.err) == (2, True)
    assert path.read_bytes() == first
    assert asked(ask, rows, "-o", str(path), "--max-cost", "9", "--force").exit_code == 0
    assert path.read_bytes() != first


def test_something_that_is_no_plan_is_never_overwritten(ask: Ask, rows: Path) -> None:
    before = rows.read_bytes()
    answer = asked(ask, rows, "-o", str(rows), "--force")
    assert (answer.exit_code, rows.read_bytes()) == (2, before)


def test_only_its_owner_reads_a_plan_and_no_part_stays(ask: Ask, rows: Path) -> None:
    path = planned(ask, rows)
    assert path.stat().st_mode & 0o077 == 0
    assert sorted(each.name for each in rows.parent.iterdir()) == ["a.plan.yaml", "rows.jsonl"]


def test_without_a_file_the_plan_is_printed_as_it_is(ask: Ask, rows: Path) -> None:
    answer = asked(ask, rows)
    assert strict_yaml.load(answer.out, "stdout").data["schema"] == "planner.plan/1"


def test_the_same_job_in_a_job_file(ask: Ask, rows: Path) -> None:
    (rows.parent / "schema.json").write_text('{"type": "object", "multipleOf": 0.10}')
    job = rows.parent / "job.yaml"
    job.write_text(
        "workload: rows.jsonl\nprompt: 'Answer: {{ text }}'\noutput-tokens: 20\n"
        f"model: {MODEL}\njson-schema: schema.json\nkey: id\n"
        "params: {stop_sequences: [END], output_config: {effort: low}}\n"
    )
    path = rows.parent / "d.plan.yaml"
    answer = ask("plan", str(job), "-o", str(path))
    assert answer.exit_code == 0, answer.err
    plan = plans.read(path)
    assert plan.request.params == {"stop_sequences": ["END"], "output_config": {"effort": "low"}}
    assert plan.request.json_schema == {"type": "object", "multipleOf": Decimal("0.1")}
    assert ask("estimate", str(job)).exit_code == 0, "an estimate takes the same file"


LEAVES = (
    st.text()
    | st.booleans()
    | st.none()
    | st.integers(-(10**15), 10**15)
    | st.decimals(allow_nan=False, allow_infinity=False, places=6, min_value=-1000, max_value=1000)
    | st.sampled_from(["1e5", "no", "0x1F", "2026-11-22", "a: b", "- x", "# y", "x\ny", "~", "."])
)
KEYS = st.text(min_size=1) | st.sampled_from(["<<", "=", "yes", "1", "? a", "&a", "*a", "!x"])
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3)
)


@pytest.fixture(scope="module")
def some_plan(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    from planner import pipeline
    from planner.job import Job, Output, Text

    path = tmp_path_factory.mktemp("plan") / "rows.jsonl"
    path.write_text('{"text": "one row of text"}\n')
    job = Job(
        workload=path,
        prompt=Text(text="{{ text }}", name="--prompt"),
        output=Output(tokens=9),
        models=(MODEL,),
    )
    facts = catalogs.load()
    answer = pipeline.estimate(facts, pipeline.measure(facts, job), job, now=NOW)
    return drafting.make(answer, drafting.Wishes(), path.parent)


@given(params=st.dictionaries(KEYS, VALUES, max_size=4), text=st.text())
def test_whatever_it_holds_is_read_back_as_it_was(
    some_plan: Plan, params: dict[str, Any], text: str
) -> None:
    """Whatever YAML could read two ways is quoted; what it cannot hold at all is refused."""
    template = plans.Template(name="--prompt", digest=plans.digest(text), text=text)
    request = some_plan.request.model_copy(update={"params": params, "prompt": template})
    plan = changed(some_plan, request=request.model_dump())
    document = strict_yaml.load(plans.text(plan), "plan")
    back = strict_yaml.validate(document, plans.Plan)
    assert plans.identity(plans.content(back)) == plan.id
    assert back.request.prompt == template


def test_what_a_plan_cannot_hold_is_refused_before_it_is_written(
    some_plan: Plan, tmp_path: Path
) -> None:
    request = some_plan.request.model_copy(update={"params": {"metadata": {"": 1}}})
    plan = changed(some_plan, request=request.model_dump())
    with pytest.raises(InputError, match="cannot be written"):
        plans.write(plan, tmp_path / "x.plan.yaml")
    assert list(tmp_path.iterdir()) == []


# --- staleness --------------------------------------------------------------------------


def codes(plan: Plan, facts: Catalog, now: datetime, workload: Path | None = None) -> list[str]:
    return [each.code for each in plans.check_fresh(plan, facts, now, workload=workload)]


def test_a_plan_is_fresh_until_something_moves(ask: Ask, rows: Path, facts: Catalog) -> None:
    plan = plans.read(planned(ask, rows))
    assert codes(plan, facts, NOW, rows) == []
    assert codes(plan, facts, NOW + plans.MAX_AGE, rows) == []
    assert codes(plan, facts, NOW + plans.MAX_AGE + timedelta(seconds=1), rows) == ["plan-too-old"]


def test_one_byte_of_the_workload_makes_it_stale(ask: Ask, rows: Path, facts: Catalog) -> None:
    plan = plans.read(planned(ask, rows))
    rows.write_bytes(rows.read_bytes().replace(b"number 7?", b"number 8?"))
    assert codes(plan, facts, NOW, rows) == ["workload-moved"]
    rows.unlink()
    assert codes(plan, facts, NOW, rows) == ["workload-gone"]


def test_a_price_that_moved_is_named(ask: Ask, rows: Path, facts: Catalog) -> None:
    plan = plans.read(planned(ask, rows))
    pinned = [each.model_dump() for each in plan.rates]
    pinned[0]["rates"]["input"] = Decimal("0.04")
    moved = changed(plan, rates=tuple(pinned))
    (problem,) = plans.check_fresh(moved, facts, NOW)
    assert problem.code == "price-moved"
    assert "input 0.04 -> 0.05 USD per million" in problem.message


def test_a_retired_model_and_a_passed_deadline_are_named(
    ask: Ask, rows: Path, facts: Catalog
) -> None:
    plan = plans.read(planned(ask, rows, "--deadline", "30h"))
    retiring = next(
        each for each in facts.models() if each.retires is not None and each.retires > NOW.date()
    )
    assert retiring.retires is not None
    choice = {**plan.choice.model_dump(), "provider": retiring.provider}
    request = {**plan.request.model_dump(), "model": retiring.id}
    gone = changed(plan, choice=choice, request=request)
    then = datetime.combine(retiring.retires, datetime.min.time(), tzinfo=UTC)
    assert any(
        each.code == "not-offered" and "retired" in each.message
        for each in plans.check_fresh(gone, facts, then)
    )
    due = datetime(2026, 11, 23, 18, tzinfo=UTC)
    assert codes(plan, facts, due - timedelta(seconds=1)) == []
    assert codes(plan, facts, due) == ["deadline-passed"]


def test_the_outlook_is_that_of_now(ask: Ask, rows: Path, facts: Catalog) -> None:
    plan = plans.read(planned(ask, rows, "--deadline", "26h", "--choose", f"{MODEL}/batch"))
    at_once = drafting.outlook(plan, facts, NOW).p_deadline
    late = drafting.outlook(plan, facts, NOW + timedelta(hours=24)).p_deadline
    assert at_once is not None
    assert late is not None
    assert plan.finish.p_deadline is not None
    assert at_once.mean == pytest.approx(float(plan.finish.p_deadline.mean), abs=1e-5)
    assert late.mean < at_once.mean


# --- between two ------------------------------------------------------------------------


def test_what_moved_between_two_plans(ask: Ask, rows: Path) -> None:
    before = planned(ask, rows)
    after = planned(ask, rows, "--output-tokens", "40", to="b.plan.yaml")
    shutil.copy(before, rows.parent / "copy.plan.yaml")
    same = ask("plan-diff", str(before), str(rows.parent / "copy.plan.yaml"))
    assert (same.exit_code, same.out) == (0, "the same plan\n")
    shown = ask("plan-diff", str(before), str(after)).out
    assert "request.max_output_tokens" in shown
    moved = json.loads(ask("plan-diff", str(before), str(after), "--format", "json").out)
    by_field = {each["field"]: each for each in moved["moved"]}
    assert by_field["tokens.output.value"]["share"] == "+100 %"
    cost = by_field["cost.expected"]
    assert cost["change"].startswith("+$")
    assert Decimal(cost["after"]) > Decimal(cost["before"])
    back = json.loads(ask("plan-diff", str(after), str(before), "--format", "json").out)
    assert {each["field"]: each for each in back["moved"]}["cost.expected"]["change"][:2] == "-$"


def test_where_a_prompt_was_kept_is_not_part_of_the_id(tmp_path: Path, ask: Ask) -> None:
    ids = []
    for folder in ("one", "another"):
        place = tmp_path / folder
        place.mkdir()
        (place / "rows.csv").write_text("text\nWhere is it?\n")
        (place / "prompt.txt").write_text("Answer: {{ text }}")
        job = ("--prompt-file", str(place / "prompt.txt"), "--model", "claude-haiku-5-5")
        out = place / "job.plan.yaml"
        made = ask("plan", str(place / "rows.csv"), *job, "--output-tokens", "9", "-o", str(out))
        assert made.exit_code == 0, made.err
        ids.append(plans.read(out).id)
    assert ids[0] == ids[1]
