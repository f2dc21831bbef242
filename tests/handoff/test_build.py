"""The vendor's files: every row once and in order, under every limit, or no file at all."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planner import catalog as catalogs
from planner import counted_by, drafting, pipeline
from planner.errors import InputError, UnknownFactError
from planner.handoff import build as builds
from planner.handoff import plan as plans
from planner.handoff.providers import adapters
from planner.workload import prompt as prompts
from planner.workload import readers
from tests.answers import NOW

if TYPE_CHECKING:
    from planner.handoff.build import Built, Limits
    from planner.handoff.plan import Plan
    from tests.answers import Answer, Ask

MODELS = {
    ("anthropic", "/v1/messages"): "claude-haiku-5-5",
    ("openai", "/v1/responses"): "gpt-6.2-sol",
    ("openai", "/v1/chat/completions"): "gpt-6.2-sol",
}
ENDPOINTS = pytest.mark.parametrize(("vendor", "endpoint"), MODELS, ids=lambda each: each)
ROWS = [
    {"id": f"k{n}", "text": f"Where is my order number {n}? Ça tarde, 中文."} for n in range(50)
]


def written(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    return written(tmp_path / "rows.jsonl", ROWS)


def asked(ask: Ask, rows: Path, model: str, *more: str, to: str = "out") -> Answer:
    job = ("--prompt", "{{ text }}", "--model", model, "--output-tokens", "20")
    return ask("build", str(rows), *job, *more, "-o", str(rows.parent / to))


def bodies(folder: Path) -> list[tuple[str, dict[str, Any]]]:
    """(custom id, body) of every row of every shard, read as the vendor would."""
    found: list[tuple[str, dict[str, Any]]] = []
    for file in sorted((folder / "shards").iterdir()):
        if file.suffix == ".json":
            whole = json.loads(file.read_bytes())
            assert set(whole) == {"requests"}
            found += [(each["custom_id"], each["params"]) for each in whole["requests"]]
        else:
            raw = file.read_bytes()
            assert raw.endswith(b"\n")
            lines = [json.loads(line) for line in raw[:-1].split(b"\n")]
            assert {each["method"] for each in lines} == {"POST"}
            assert {each["url"] for each in lines} == {"/v1/" + _rest(lines[0]["url"])}
            found += [(each["custom_id"], each["body"]) for each in lines]
    return found


def _rest(url: str) -> str:
    return url.removeprefix("/v1/")


def manifest(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / builds.MANIFEST).read_text().splitlines()]


def said(body: dict[str, Any]) -> str:
    turns = body.get("messages") or body["input"]
    return str(turns[-1]["content"])


# --- what is built ----------------------------------------------------------------------


@ENDPOINTS
def test_every_row_stands_in_the_vendors_words(
    ask: Ask, rows: Path, vendor: str, endpoint: str
) -> None:
    model = MODELS[vendor, endpoint]
    more = ("--endpoint", endpoint, "--key", "id", "--system", "Be brief.")
    answer = asked(ask, rows, model, *more)
    assert answer.exit_code == 0, answer.err
    out = rows.parent / "out"
    found = bodies(out)
    assert [said(body) for _, body in found] == [row["text"] for row in ROWS]
    nonce = plans.read(out / builds.PLAN).nonce
    assert [custom_id for custom_id, _ in found] == [f"{nonce}-{n}" for n in range(len(ROWS))]
    assert all(builds.CUSTOM_ID.fullmatch(custom_id) for custom_id, _ in found)
    assert {body["model"] for _, body in found} == {model}
    limits = {"max_tokens", "max_output_tokens", "max_completion_tokens"}
    assert [[body[key] for key in limits & set(body)] for _, body in found] == [[128]] * len(ROWS)
    assert all("Be brief." in json.dumps(body) for _, body in found)
    keys = [json.loads(line) for line in (out / builds.ROWS).read_text().splitlines()]
    manifest = [json.loads(line) for line in (out / builds.MANIFEST).read_text().splitlines()]
    counted = sum(each.pop("tokens") for each in keys)
    assert counted == sum(each["estimated_input_tokens"] for each in manifest) > 0
    assert keys == [{"index": n, "row": n + 1, "key": f"k{n}"} for n in range(len(ROWS))]


WRAPPINGS = {
    "/v1/messages": ("output_config", "format"),
    "/v1/responses": ("text", "format"),
    "/v1/chat/completions": ("response_format", "json_schema"),
}


@ENDPOINTS
def test_schema_and_parameters_go_into_every_request(
    ask: Ask, rows: Path, vendor: str, endpoint: str
) -> None:
    schema = {
        "type": "object",
        "properties": {"label": {"type": "string"}},
        "required": ["label"],
        "additionalProperties": False,
    }
    (rows.parent / "schema.json").write_text(json.dumps(schema))
    param = {
        "/v1/messages": 'output_config={"effort": "low"}',
        "/v1/responses": 'text={"verbosity": "low"}',
        "/v1/chat/completions": 'reasoning_effort="low"',
    }[endpoint]
    more = ("--json-schema", str(rows.parent / "schema.json"), "--param", param)
    answer = asked(ask, rows, MODELS[vendor, endpoint], "--endpoint", endpoint, *more)
    assert answer.exit_code == 0, answer.err
    for _, body in bodies(rows.parent / "out"):
        assert "low" in json.dumps(body)
        wrapped: Any = body
        for key in WRAPPINGS[endpoint]:
            wrapped = wrapped[key]
        assert wrapped["schema"] == schema


@pytest.mark.parametrize(
    ("model", "endpoint", "param", "why"),
    [
        ("claude-haiku-5-5", "/v1/messages", "temperature=0.2", "temperature: extra inputs"),
        ("claude-haiku-5-5", "/v1/messages", 'speed="fast"', "the lane refuses speed"),
        ("claude-haiku-5-5", "/v1/messages", "stream=true", "the lane refuses stream"),
        ("claude-haiku-5-5", "/v1/messages", 'stop_sequences="END"', "stop_sequences"),
        ("gpt-6.2-sol", "/v1/responses", 'reasoning={"efort": "low"}', "reasoning.efort"),
        ("gpt-6.2-sol", "/v1/responses", "stream=true", "stream: input should be false"),
        (
            "gpt-6.2-sol",
            "/v1/chat/completions",
            'seed="2"',
            "seed: input should be a valid integer",
        ),
    ],
)
def test_what_vendor_or_lane_would_refuse_is_refused_before_any_file(
    ask: Ask, rows: Path, model: str, endpoint: str, param: str, why: str
) -> None:
    answer = asked(ask, rows, model, "--endpoint", endpoint, "--param", param)
    assert answer.exit_code == 2
    assert why in answer.err.lower()
    assert [each.name for each in rows.parent.iterdir()] == ["rows.jsonl"]


@pytest.mark.parametrize(
    ("model", "param"),
    [
        ("gpt-6.2-sol", ("--endpoint", "/v1/chat/completions", "--param", "n=5")),
        ("gpt-6.2-sol", ("--param", 'service_tier="priority"')),
        ("claude-haiku-5-5", ("--param", 'inference_geo="us"')),
        ("claude-haiku-5-5", ("--region", "us", "--param", 'inference_geo="global"')),
    ],
)
def test_what_costs_more_than_was_planned_is_not_built(
    ask: Ask, rows: Path, model: str, param: tuple[str, ...]
) -> None:
    answer = asked(ask, rows, model, "--lane", "batch", *param)
    assert answer.exit_code == 2
    assert "the plan's prices are for no " in answer.err


def test_a_region_that_is_paid_for_is_asked_for(ask: Ask, rows: Path, tmp_path: Path) -> None:
    answer = asked(ask, rows, "claude-haiku-5-5", "--lane", "batch", "--region", "us")
    assert answer.exit_code == 0, answer.err
    assert {body["inference_geo"] for _, body in bodies(tmp_path / "out")} == {"us"}


def test_a_vendor_without_an_adapter_is_named_with_those_that_have_one(
    ask: Ask, rows: Path
) -> None:
    facts = catalogs.load()
    other = next(
        each
        for each in facts.models()
        if each.provider not in adapters.ADAPTERS
        and "batch" in each.lanes
        and len(facts.named[each.id]) == 1
    )
    answer = asked(ask, rows, other.id, "--allow-stale", "--lane", "batch")
    assert answer.exit_code == UnknownFactError.exit_code, answer.err
    assert all(name in answer.err for name in adapters.ADAPTERS)


def test_nothing_is_built_for_realtime(ask: Ask, rows: Path) -> None:
    answer = asked(ask, rows, "gpt-6.2-sol", "--choose", "gpt-6.2-sol/standard")
    assert (answer.exit_code, "not-a-batch" in answer.err) == (2, True)


def test_every_adapter_that_is_listed_is_one() -> None:
    for name in adapters.ADAPTERS:
        adapter = adapters.adapter(name)
        assert adapter.endpoints
        assert all(adapter.own_keys(each) for each in adapter.endpoints)


# --- rows -------------------------------------------------------------------------------


def test_half_a_character_is_refused_with_its_row(ask: Ask, rows: Path) -> None:
    rows.write_text('{"text": "fine one"}\n{"text": "broken \\ud83d here"}\n{"text": "fine two"}\n')
    answer = asked(ask, rows, "gpt-6.2-sol")
    assert answer.exit_code == 2
    assert "row 2 cannot be sent: it has a lone surrogate (U+D83D)" in answer.err
    assert f"{rows}:2" in answer.err
    answer = asked(ask, rows, "gpt-6.2-sol", "--skip-bad-rows")
    assert answer.exit_code == 0, answer.err
    assert [said(body) for _, body in bodies(rows.parent / "out")] == ["fine one", "fine two"]
    assert "1 row left out" in answer.out
    keys = (rows.parent / "out" / builds.ROWS).read_text().splitlines()
    assert [json.loads(line)["row"] for line in keys] == [1, 3]


def test_a_row_without_its_key_is_refused(ask: Ask, rows: Path) -> None:
    written(rows, [{"id": 1, "text": "one"}, {"id": None, "text": "two"}])
    answer = asked(ask, rows, "gpt-6.2-sol", "--key", "id")
    assert answer.exit_code == 2
    assert "row 2 cannot be sent: it has no value in the key column `id`" in answer.err


def test_a_rescue_builds_its_batch_and_says_when_it_ends(ask: Ask, rows: Path) -> None:
    answer = asked(ask, rows, "claude-haiku-5-5", "--deadline", "6h")
    assert answer.exit_code == 0, answer.err
    plan = plans.read(rows.parent / "out" / builds.PLAN)
    assert plan.choice.strategy == "rescue"
    assert plan.finish.rescue_at is not None
    assert {each.lane for each in plan.rates} == {"batch", "standard"}
    assert len(bodies(rows.parent / "out")) == len(ROWS)
    assert "is to be cancelled and sent in realtime" in " ".join(answer.out.split())


def test_ready_made_requests_go_as_they_are_with_the_plans_model(ask: Ask, rows: Path) -> None:
    message = [{"role": "user", "content": [{"type": "text", "text": "What is this?"}]}]
    body = {"model": "other", "max_tokens": 17, "messages": message, "stop_sequences": ["X"]}
    written(rows, [{"custom_id": f"a{n}", "params": body} for n in range(3)])
    job = ("--model", "claude-haiku-5-5", "--output-tokens", "9", "-o", str(rows.parent / "out"))
    answer = ask("build", str(rows), *job)
    assert answer.exit_code == 0, answer.err
    for _, sent in bodies(rows.parent / "out"):
        assert sent == {**body, "model": "claude-haiku-5-5"}
    other = ("--model", "gpt-6.2-sol", "--output-tokens", "9", "-o", str(rows.parent / "b"))
    refused = ask("build", str(rows), *other)
    assert refused.exit_code == 2
    assert "made for another vendor" in refused.err


def test_a_chat_goes_without_its_answer_and_a_tool_call_is_refused(ask: Ask, rows: Path) -> None:
    turns = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Hello there"}]
    answer_ = {"role": "assistant", "content": "Hi!"}
    written(rows, [{"messages": [*turns, answer_]}])
    job = ("--output-tokens", "9", "-o", str(rows.parent / "out"))
    answer = ask("build", str(rows), "--model", "claude-haiku-5-5", *job)
    assert answer.exit_code == 0, answer.err
    ((_, body),) = bodies(rows.parent / "out")
    assert (body["system"], body["messages"]) == ("Be kind.", [turns[1]])
    written(rows, [{"system": "Be kind.", "messages": [turns[1], answer_]}])
    beside = ask("build", str(rows), "--model", "claude-haiku-5-5", *job, "--force")
    assert beside.exit_code == 0, beside.err
    assert bodies(rows.parent / "out")[0][1] == body
    call = {"role": "assistant", "content": "", "tool_calls": [{"function": {"name": "f"}}]}
    written(rows, [{"messages": [*turns, call, {"role": "user", "content": "go on"}]}])
    refused = ask("build", str(rows), "--model", "claude-haiku-5-5", *job, "--force")
    assert refused.exit_code == 2
    assert "row 1 cannot be sent: a message of it is more than text" in refused.err


# --- laws of the shards -----------------------------------------------------------------


@pytest.fixture(scope="module")
def some_plan(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    from planner.job import Job, Output, Text

    path = written(tmp_path_factory.mktemp("plan") / "rows.jsonl", ROWS)
    job = Job(
        workload=path,
        prompt=Text(text="{{ text }}", name="--prompt"),
        output=Output(tokens=9),
        models=("gpt-6.2-sol",),
    )
    facts = catalogs.load()
    answer = pipeline.estimate(facts, pipeline.measure(facts, job), job, now=NOW)
    return drafting.make(answer, drafting.Wishes(), path.parent)


def built(
    plan: Plan, vendor: str, endpoint: str, path: Path, folder: Path, limits: Limits
) -> Built:
    workload = readers.open_workload(path)
    pinned = plan.workload.model_copy(update={"digest": workload.digest()})
    recipe = builds.Recipe(
        plan=plan.id,
        nonce=plan.nonce,
        spec=builds.Spec(model="m", endpoint=endpoint, max_output_tokens=9),
        limits=limits,
    )
    template = prompts.Template("{{ text }}")
    counter = counted_by.catalog(catalogs.load().model("gpt-6.2-sol"))
    first = [template.render(row) for row in workload.head()]
    return builds.build(
        workload.rows(),
        template,
        builds.Rower(recipe, adapters.adapter(vendor), ready_made=False),
        builds.Estimator(counter, first),
        folder,
        plan=plans.sealed({**plans.content(plan), "workload": pinned.model_dump()}),
    )


@settings(max_examples=40)
@given(
    case=st.sampled_from(sorted(MODELS)),
    texts=st.lists(st.text(min_size=1).filter(str.strip), min_size=1, max_size=12),
    rows=st.none() | st.integers(1, 5),
    size=st.none() | st.integers(700, 3000),
    tokens=st.none() | st.integers(80, 200),
)
def test_shards_hold_each_row_once_in_order_and_keep_every_limit(
    some_plan: Plan,
    case: tuple[str, str],
    texts: list[str],
    rows: int | None,
    size: int | None,
    tokens: int | None,
) -> None:
    limits = builds.Limits(rows=rows, bytes=size, tokens=tokens)
    with tempfile.TemporaryDirectory() as place:
        path = written(Path(place) / "rows.jsonl", [{"text": text} for text in texts])
        out = Path(place) / "out"
        try:
            made = built(some_plan, *case, path, out, limits)
        except InputError as error:
            refused = [each.code for each in error.problems]
        else:
            refused = []
        assert refused in ([], ["unsendable-row"])
        assert out.exists() is not bool(refused)
        if refused:
            return
        assert [said(body) for _, body in bodies(out)] == texts
        listed = manifest(out)
        assert sum(each["rows"] for each in listed) == len(texts) == made.rows
        assert [each["shard"] for each in listed] == list(range(1, len(listed) + 1))
        first = 0
        for each in listed:
            raw = (out / each["file"]).read_bytes()
            assert hashlib.sha256(raw).hexdigest() == each["sha256"]
            assert (len(raw), each["first"]) == (each["bytes"], first)
            assert rows is None or each["rows"] <= rows
            assert size is None or len(raw) <= size - size // 50
            assert tokens is None or each["estimated_input_tokens"] <= tokens
            first += each["rows"]


def test_a_limit_is_reached_and_not_passed(some_plan: Plan, tmp_path: Path) -> None:
    path = written(tmp_path / "rows.jsonl", [{"text": "abc"}] * 10)
    case = ("openai", "/v1/responses")
    whole = built(some_plan, *case, path, tmp_path / "whole", builds.Limits())
    assert len(whole.shards) == 1
    row = (tmp_path / "whole/shards/00001.jsonl").read_bytes().index(b"\n") + 1
    five = builds.Limits(bytes=_with_margin(row * 5))
    assert [s.rows for s in built(some_plan, *case, path, tmp_path / "a", five).shards] == [5, 5]
    less = replace(five, bytes=_with_margin(row * 5 - 1))
    assert [s.rows for s in built(some_plan, *case, path, tmp_path / "b", less).shards] == [4, 4, 2]
    with pytest.raises(InputError, match="row 1 cannot be sent: it takes"):
        built(some_plan, *case, path, tmp_path / "c", builds.Limits(bytes=row))


def _with_margin(size: int) -> int:
    """The smallest limit that leaves `size` when its margin is taken off."""
    return next(limit for limit in range(size, 2 * size) if limit - limit // 50 == size)


# --- whole or absent, once, alone -------------------------------------------------------


def tree(folder: Path) -> dict[str, str]:
    return {
        str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }


def test_the_same_build_twice_is_one(ask: Ask, rows: Path) -> None:
    assert asked(ask, rows, "gpt-6.2-sol").exit_code == 0
    before = tree(rows.parent)
    again = asked(ask, rows, "gpt-6.2-sol")
    assert (again.exit_code, again.out[:13]) == (0, "Already built")
    assert tree(rows.parent) == before
    plan = rows.parent / "out" / builds.PLAN
    assert ask("build", str(plan), "-o", str(rows.parent / "other")).exit_code == 0
    other = tree(rows.parent / "other")
    assert {key: each for key, each in tree(rows.parent / "out").items() if key in other} == other


def test_a_damaged_build_is_not_taken_for_a_whole_one(ask: Ask, rows: Path) -> None:
    assert asked(ask, rows, "gpt-6.2-sol").exit_code == 0
    shard = next((rows.parent / "out/shards").iterdir())
    shard.write_bytes(shard.read_bytes()[:-10])
    answer = asked(ask, rows, "gpt-6.2-sol")
    assert (answer.exit_code, "folder-in-use" in answer.err) == (2, True)
    assert asked(ask, rows, "gpt-6.2-sol", "--force").exit_code == 0
    assert len(bodies(rows.parent / "out")) == len(ROWS)


def test_other_peoples_things_are_never_replaced(ask: Ask, rows: Path) -> None:
    (rows.parent / "out").mkdir()
    (rows.parent / "out" / "thesis.txt").write_text("mine")
    before = tree(rows.parent)
    for more in ((), ("--force",)):
        assert asked(ask, rows, "gpt-6.2-sol", *more).exit_code == 2
        assert tree(rows.parent) == before


def test_a_build_that_fails_leaves_what_stood_there(ask: Ask, rows: Path) -> None:
    assert asked(ask, rows, "gpt-6.2-sol").exit_code == 0
    rows.write_text(rows.read_text() + '{"text": "half \\ud83d"}\n')
    before = tree(rows.parent)
    answer = asked(ask, rows, "gpt-6.2-sol", "--force")
    assert (answer.exit_code, "row 51" in answer.err) == (2, True)
    assert tree(rows.parent) == before
    assert not (rows.parent / "out.part").exists()


def test_a_stale_plan_is_not_built_and_says_what_moved(ask: Ask, rows: Path) -> None:
    plan = rows.parent / "a.plan.yaml"
    job = ("--prompt", "{{ text }}", "--model", "gpt-6.2-sol", "--output-tokens", "20")
    assert ask("plan", str(rows), *job, "-o", str(plan)).exit_code == 0
    rows.write_bytes(rows.read_bytes().replace(b"number 7?", b"number 8?"))
    answer = ask("build", str(plan), "-o", str(rows.parent / "out"))
    assert (answer.exit_code, "error[workload-moved]" in answer.err) == (2, True)
    assert not (rows.parent / "out").exists()


def test_a_plan_decides_and_no_flag_does(ask: Ask, rows: Path) -> None:
    assert asked(ask, rows, "gpt-6.2-sol").exit_code == 0
    plan = rows.parent / "out" / builds.PLAN
    answer = ask("build", str(plan), "--model", "claude-haiku-5-5", "-o", str(rows.parent / "b"))
    assert (answer.exit_code, "--models" in answer.err) == (2, True)


def test_an_assumed_length_builds_and_is_said(ask: Ask, rows: Path) -> None:
    """Formatting rows costs nothing; the plan beside them says that it is not for sending."""
    out = rows.parent / "out"
    job = ("--prompt", "{{ text }}", "--model", "gpt-6.2-sol", "-o", str(out))
    answer = ask("build", str(rows), *job)
    assert answer.exit_code == 0
    assert "not for sending" in answer.err
    plan = plans.read(out / builds.PLAN)
    assert (plan.tokens.output_basis, plan.accepted.assumed_output) == ("assumed", False)


def test_planning_and_building_touch_nothing_else(
    ask: Ask, rows: Path, monkeypatch: pytest.MonkeyPatch, socket_disabled: None
) -> None:
    """No network (a socket raises), no file but those named, the workload as it was."""
    folder = rows.parent
    monkeypatch.chdir(folder)
    (folder / "beside.txt").write_text("as it was")
    before = tree(folder)
    job = ("--prompt", "{{ text }}", "--model", "claude-haiku-5-5", "--output-tokens", "20")
    assert ask("plan", "rows.jsonl", *job, "-o", "a.plan.yaml").exit_code == 0
    assert ask("build", "a.plan.yaml", "-o", "out").exit_code == 0
    after = tree(folder)
    assert {key: after[key] for key in before} == before
    new = {key.split("/")[0] for key in set(after) - set(before)}
    assert new == {"a.plan.yaml", "out"}


# --- size -------------------------------------------------------------------------------

MEASURED = """
import resource, sys
from datetime import UTC, datetime
from planner import cli
code = cli.main(sys.argv[1:], clock=lambda: datetime(2026, 11, 22, 12, tzinfo=UTC))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr)
sys.exit(code)
"""


def peak(path: Path, count: int) -> int:
    """Kilobytes that a build of so many rows takes at its peak, in a process of its own."""
    with path.open("w") as file:
        for n in range(count):
            text = " ".join(f"word{(n * 7919 + k * 104729) % 5003}" for k in range(30))
            file.write(json.dumps({"text": text}) + "\n")
    job = ("--prompt", "{{ text }}", "--model", "gpt-6.2-sol", "--output-tokens", "9")
    command = ("build", str(path), *job, "-o", str(path.with_suffix("")))
    answer = subprocess.run(
        [sys.executable, "-c", MEASURED, *command], capture_output=True, text=True, check=False
    )
    assert answer.returncode == 0, answer.stderr
    return int(answer.stderr.split()[-1])


def test_memory_does_not_grow_with_the_rows(tmp_path: Path) -> None:
    few, many = 2_000, 20_000
    grown = peak(tmp_path / "many.jsonl", many) - peak(tmp_path / "few.jsonl", few)
    assert (tmp_path / "many.jsonl").stat().st_size > 4_000_000
    assert grown < 25_000, f"{grown:,} kB more for {many - few:,} rows more"


def test_ten_thousand_real_rows(ask: Ask, tmp_path: Path, shared_workloads: Path) -> None:
    out = tmp_path / "out"
    job = ("--prompt", "Name the intent: {{ text }}", "--model", "claude-haiku-5-5")
    answer = ask("build", str(shared_workloads / "banking77.csv"), *job, "-o", str(out))
    assert answer.exit_code == 0, answer.err
    assert len(bodies(out)) == 10_003
    assert "10,003 rows" in answer.out
    assert "expected" in answer.out
    assert "typically" in answer.out
