"""What a template makes of a row, and what it says when it cannot."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.errors import InputError
from planner.workload.media import Media
from planner.workload.prompt import (
    Message,
    ReadyMade,
    Request,
    Template,
    choose,
    default_template,
    requests,
)
from planner.workload.readers import Row, Workload, open_workload

SKIP = "  hint: --skip-bad-rows leaves such rows out and counts them"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, empty, so that errors name files as a user would."""
    monkeypatch.chdir(tmp_path)
    return Path()


def row(**fields: object) -> Row:
    return Row(number=3, line=4, fields=fields)


def prompted(template: str, **fields: object) -> str:
    (message,) = Template(template).render(row(**fields)).messages
    assert message.role == "user"
    return message.content


def refusal(template: str, **fields: object) -> str:
    with pytest.raises(InputError) as caught:
        prompted(template, **fields)
    return caught.value.render()


def workload_of(*objects: dict[str, Any]) -> Workload:
    Path("rows.jsonl").write_text("".join(json.dumps(each) + "\n" for each in objects))
    return open_workload(Path("rows.jsonl"))


# --- what comes out ---------------------------------------------------------------------

plain = st.text(st.characters(blacklist_categories=["Cs"]), min_size=1).filter(str.strip)


@given(plain)
def test_text_is_inserted_as_it_is(value: str) -> None:
    assert prompted("{{ text }}", text=value) == value


@given(plain)
def test_a_raw_template_is_sent_as_it_is(value: str) -> None:
    clean = value.replace("{", "(").replace("\r", "")
    assert prompted(clean + "\n", other=1) == clean


@given(plain, st.text(st.characters(blacklist_categories=["Cs"]), min_size=1))
def test_any_column_name_is_reached_through_the_row(value: str, name: str) -> None:
    template, _ = default_template([name], [Row(number=1, line=1, fields={name: value})])
    rendered = template.render(Row(number=2, line=2, fields={name: value + "!"}))
    assert rendered.messages == (Message(role="user", content=value + "!"),)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (1, "1"),
        (2.5, "2.5"),
        (True, "true"),
        ([1, "é"], '[1, "é"]'),
        ({"a": None, "b": "<&>"}, '{"a": null, "b": "<&>"}'),
        ("", "-"),
    ],
)
def test_values_that_are_not_text_are_written_as_json_has_them(
    value: object, expected: str
) -> None:
    assert prompted("{{ value or '-' }}", value=value) == expected


def test_tojson_is_meant_for_models_not_for_html() -> None:
    assert prompted("{{ value|tojson }}", value=["<a> & 'é'"]) == """["<a> & 'é'"]"""


def test_nothing_is_escaped_and_one_last_line_end_is_dropped() -> None:
    assert prompted("Say: <{{ text }}>\n\n", text="a & b\n") == "Say: <a & b\n>\n"
    assert prompted("{{ text }}\n", text="a\n") == "a\n"


def test_the_whole_row_wins_over_a_column_called_row() -> None:
    assert prompted('{{ row["row"] }}', row="inner") == "inner"


def test_system_and_user_come_in_this_order() -> None:
    template = Template("{{ a }}", "Be {{ b }}.\n")
    assert template.render(row(a="x", b="brief")) == Request(
        messages=(
            Message(role="system", content="Be brief."),
            Message(role="user", content="x"),
        )
    )


def test_a_system_prompt_that_comes_out_blank_is_left_out() -> None:
    template = Template("{{ a }}", "{{ b }}\n")
    assert template.render(row(a="x", b=" ")).messages == (Message(role="user", content="x"),)


def test_optional_columns_can_be_asked_for_with_care() -> None:
    template = Template("{{ a }}{% if b is defined %}{{ b }}{% endif %}{{ c|default('-') }}")
    template.check(["a"])
    assert template.render(row(a="x")).messages[0].content == "x-"


def test_names_that_the_template_makes_itself_are_not_columns() -> None:
    template = Template(
        "{% for turn in turns %}{{ loop.index }}{{ turn }}{% endfor %}"
        "{% set n = 1 %}{{ n }}{% for i in range(2) %}{{ i }}{% endfor %}{{ row.items()|length }}"
    )
    template.check(["turns"])
    assert template.render(row(turns=["a", "b"])).messages[0].content == "1a2b1011"


@pytest.mark.parametrize("chance", ["{{ [1, 2]|random }}", "{{ lipsum() }}"])
def test_there_is_no_chance_in_a_prompt(chance: str) -> None:
    with pytest.raises(InputError):
        prompted(chance)


# --- what is refused --------------------------------------------------------------------


def test_every_unknown_column_is_named_with_what_there_is() -> None:
    template = Template(
        "Ticket:\n{{ subjct }} {{ text }}\n",
        'For {{ row["our client"] }} {{ row.zone }}.',
        prompt_name="prompt.txt",
    )
    with pytest.raises(InputError) as caught:
        template.check(["id", "subject", "text", "our clients"])
    assert caught.value.exit_code == 2
    assert caught.value.render() == (
        "error[unknown-column]: the template asks for `our client`, "
        "and the rows have no such column\n"
        '  at --system:1: For {{ row["our client"] }} {{ row.zone }}.\n'
        "  hint: did you mean our clients? columns: id, subject, text, our clients\n"
        "error[unknown-column]: the template asks for `zone`, and the rows have no such column\n"
        '  at --system:1: For {{ row["our client"] }} {{ row.zone }}.\n'
        "  hint: columns: id, subject, text, our clients\n"
        "error[unknown-column]: the template asks for `subjct`, and the rows have no such column\n"
        "  at prompt.txt:2: {{ subjct }} {{ text }}\n"
        "  hint: did you mean subject? columns: id, subject, text, our clients"
    )


def test_long_lines_and_many_columns_are_cut() -> None:
    template = Template("{{ x }}" + "y" * 500)
    with pytest.raises(InputError) as caught:
        template.check([f"c{n}" for n in range(30)])
    shown = ", ".join(f"c{n}" for n in range(20))
    assert caught.value.render() == (
        "error[unknown-column]: the template asks for `x`, and the rows have no such column\n"
        f"  at --prompt:1: {{{{ x }}}}{'y' * 113}...\n"
        f"  hint: columns: {shown} and 10 more"
    )


@pytest.mark.parametrize(
    ("template", "said", "where"),
    [
        ("a\n{{ text }\n", "unexpected '}'", "--prompt:2: {{ text }"),
        ("{{ text|shout }}", "no filter named 'shout'", "--prompt:1: {{ text|shout }}"),
        (
            "{% if text %}\nx",
            (
                "unexpected end of template. Jinja was looking for the following tags: "
                "'elif' or 'else' or 'endif'. The innermost block that needs to be closed is 'if'"
            ),
            "--prompt:1: {% if text %}",
        ),
    ],
)
def test_a_broken_template_is_shown_with_its_line(template: str, said: str, where: str) -> None:
    with pytest.raises(InputError) as caught:
        Template(template)
    assert caught.value.render() == (
        f"error[template-syntax]: the template is not Jinja2: {said}\n  at {where}\n"
        "  hint: {{ column }} inserts a value; {% raw %} ... {% endraw %} keeps braces as text"
    )


@pytest.mark.parametrize(
    ("template", "fields", "expected"),
    [
        (
            "{{ note }} {{ text }}",
            {"note": None, "text": "x"},
            (
                "error[null-value]: row 3 makes no request: --prompt: `note` is null\n"
                '  at line 4\n  hint: write {{ note or "" }} where a null means nothing, '
                "or --skip-bad-rows"
            ),
        ),
        (
            "{{ data.note }}",
            {"data": {"note": None}},
            (
                "error[null-value]: row 3 makes no request: --prompt: a value is null\n"
                '  at line 4\n  hint: write {{ note or "" }} where a null means nothing, '
                "or --skip-bad-rows"
            ),
        ),
        (
            "{{ note }}",
            {"text": "x"},
            (
                "error[missing-value]: row 3 makes no request: --prompt: 'note' is undefined\n"
                '  at line 4\n  hint: write {{ note|default("") }} where it may be missing, '
                "or --skip-bad-rows"
            ),
        ),
        (
            "{{ 1 / number }}",
            {"number": 0},
            (
                "error[template-failed]: row 3 makes no request: "
                "--prompt fails: division by zero\n  at line 4"
            ),
        ),
        (
            "{{ text }}\n",
            {"text": " \n"},
            (
                "error[empty-prompt]: row 3 makes no request: the prompt comes out empty\n"
                f"  at line 4\n{SKIP}"
            ),
        ),
    ],
)
def test_a_row_that_makes_no_request_says_why(
    template: str, fields: dict[str, object], expected: str
) -> None:
    assert refusal(template, **fields) == expected


@pytest.mark.parametrize(
    "escape",
    [
        "{{ ''.__class__.__mro__ }}",
        "{% include '/etc/hostname' %}",
        "{{ range(10 ** 9)|list }}",
    ],
)
def test_a_prompt_file_cannot_leave_the_sandbox(escape: str) -> None:
    assert refusal(escape, text="x").startswith("error[")


def test_null_is_fine_where_it_is_not_printed() -> None:
    assert prompted("{% if note %}{{ note }}{% endif %}{{ note or 'none' }}", note=None) == "none"


# --- the one text column ----------------------------------------------------------------


def sample(**columns: list[object]) -> list[Row]:
    lengths = {len(values) for values in columns.values()}
    assert len(lengths) == 1
    return [
        Row(number=n, line=n, fields={name: values[n - 1] for name, values in columns.items()})
        for n in range(1, lengths.pop() + 1)
    ]


def chosen_column(**columns: list[object]) -> tuple[str, str]:
    template, said = default_template(list(columns), sample(**columns))
    return template.prompt, said


def test_the_only_prose_is_taken_and_said() -> None:
    assert chosen_column(
        id=["0f0a4c5e-5a0b-4d5c-9d8e-7d1f6c0a1b2c"] * 2, text=["hi there", "so long"], n=[1, 2]
    ) == (
        "{{ text }}",
        "No --prompt is given: each row is sent as its column `text` (mean 7 characters).",
    )


def test_a_clearly_longer_column_is_taken_with_the_others_named() -> None:
    assert chosen_column(label=["a label"], text=["x" * 10 + " " + "y" * 9]) == (
        "{{ text }}",
        (
            "No --prompt is given: each row is sent as its column `text` (mean 20 characters); "
            "the other text columns: `label` (mean 7 characters)."
        ),
    )


@pytest.mark.parametrize(("length", "clear"), [(20, True), (19, False)])
def test_clearly_longer_means_twice_as_long(length: int, clear: bool) -> None:
    columns: dict[str, list[object]] = {"a": ["x y" + "z" * 7], "b": ["x " + "y" * (length - 2)]}
    if clear:
        assert chosen_column(**columns)[0] == "{{ b }}"
        return
    with pytest.raises(InputError) as caught:
        chosen_column(**columns)
    assert caught.value.render() == (
        "error[which-column]: no --prompt is given, and more than one column may be it: "
        "`a` (mean 10 characters), `b` (mean 19 characters)\n"
        "  hint: name it, for instance --prompt '{{ a }}'"
    )


def test_text_without_spaces_counts_as_prose_where_it_is_not_ascii() -> None:
    columns: dict[str, list[object]] = {"id": ["a" * 30], "text": ["领収書が届きません"]}
    assert chosen_column(**columns)[0] == "{{ text }}"


def test_words_will_do_where_there_is_no_prose() -> None:
    columns: dict[str, list[object]] = {"n": [1, 2], "word": ["apple", None]}
    assert chosen_column(**columns)[0] == "{{ word }}"


def test_no_text_at_all_is_an_error() -> None:
    with pytest.raises(InputError) as caught:
        default_template(
            ["my n", "data", "none"],
            [Row(number=1, line=1, fields={"my n": 1, "data": {"a": "b c"}, "none": None})],
        )
    assert caught.value.render() == (
        "error[no-text-column]: no --prompt is given, and no column of the rows is text\n"
        "  hint: name one: --prompt '{{ row[\"my n\"] }}'; columns: my n, data, none"
    )


# --- ready-made requests ----------------------------------------------------------------


def test_the_last_turn_of_a_chat_is_its_answer_not_its_input() -> None:
    chat = row(
        system="S",
        messages=[
            {"role": "user", "content": "a"},
            {"role": "assistant", "content": "b"},
            {"role": "user", "content": [{"type": "text", "text": "c"}, "d"]},
            {"role": "assistant", "content": "e"},
        ],
    )
    reader = ReadyMade(answers=True)
    roles = [(m.role, m.content) for m in reader.render(chat).messages]
    assert roles == [("system", "S"), ("user", "a"), ("assistant", "b"), ("user", "c\nd")]
    assert reader.answer(chat) == "e"
    assert reader.answer(row(messages=[{"role": "user", "content": "a"}])) is None


CALL = {"id": "t", "type": "function", "function": {"name": "n", "arguments": "{}"}}


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (
            {
                "custom_id": "1",
                "body": {
                    "messages": [
                        {"role": "system", "content": "S"},
                        {"role": "user", "content": "a"},
                        {"role": "assistant", "content": None, "tool_calls": [CALL]},
                        {"role": "tool", "content": "4"},
                    ],
                    "max_completion_tokens": 9,
                    "tools": [{"name": "é"}],
                    "response_format": {"type": "json_schema", "json_schema": {"schema": {}}},
                    "tool_choice": "required",
                },
            },
            Request(
                messages=(
                    Message(role="system", content="S"),
                    Message(role="user", content="a"),
                    Message(role="assistant", content='{"name":"n","arguments":"{}"}'),
                    Message(role="tool", content="4"),
                ),
                tools='[{"name":"é"}]',
                schema="{}",
                max_output_tokens=9,
                forced=True,
            ),
        ),
        (
            {"custom_id": "1", "body": {"instructions": "S", "input": "a"}},
            Request(
                messages=(Message(role="system", content="S"), Message(role="user", content="a"))
            ),
        ),
        (
            {
                "custom_id": "1",
                "body": {
                    "input": [
                        {"role": "user", "content": [{"type": "input_text", "text": "a"}]},
                        {"type": "function_call_output", "output": "4"},
                    ]
                },
            },
            Request(
                messages=(
                    Message(role="user", content="a"),
                    Message(role="tool", content='{"output":"4"}'),
                )
            ),
        ),
        (
            {
                "custom_id": "1",
                "params": {
                    "system": [{"type": "text", "text": "S"}],
                    "max_tokens": 9,
                    "messages": [
                        {"role": "user", "content": "a"},
                        {
                            "role": "assistant",
                            "content": [{"type": "tool_use", "name": "n", "input": {"x": 1}}],
                        },
                        {"role": "user", "content": [{"type": "tool_result", "content": "4"}]},
                        {"role": "assistant", "content": "{"},
                    ],
                },
            },
            Request(
                messages=(
                    Message(role="system", content="S"),
                    Message(role="user", content="a"),
                    Message(role="assistant", content='{"name":"n","input":{"x":1}}'),
                    Message(role="user", content="4"),
                    Message(role="assistant", content="{"),
                ),
                max_output_tokens=9,
            ),
        ),
    ],
)
def test_requests_of_either_shape_are_read(fields: dict[str, object], expected: Request) -> None:
    assert ReadyMade(answers=False).render(row(**fields)) == expected


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"messages": []}, "it has neither `messages` nor `input`"),
        ({"messages": [{"role": "assistant", "content": "x"}]}, "nobody asks anything in it"),
        ({"messages": [{"role": "system", "content": "x"}]}, "nobody asks anything in it"),
        ({"messages": ["x"]}, "a message is not an object"),
        ({"messages": [{"role": 1, "content": "x"}]}, "a message's role is not text"),
        (
            {"messages": [{"role": "user", "content": 1}]},
            "a message's content is neither text nor a list of parts",
        ),
        (
            {"messages": [{"role": "user", "content": [1]}]},
            "a part of a message is neither text nor an object",
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "input_audio"}]}]},
            "a part of type input_audio is not text",
        ),
    ],
)
def test_what_is_no_request_of_text_is_refused(fields: dict[str, object], said: str) -> None:
    with pytest.raises(InputError) as caught:
        ReadyMade(answers=True).render(row(**fields))
    assert caught.value.render() == (
        f"error[not-a-request]: row 3 makes no request: {said}\n  at line 4\n{SKIP}"
    )


# --- the choice, and the pass -----------------------------------------------------------


def test_a_given_prompt_is_taken_without_a_word(folder: Path) -> None:
    chosen = choose(workload_of({"a": "x", "b": "y"}), prompt="{{ a }}")
    assert (chosen.said, chosen.columns) == (None, ("a", "b"))


def test_ready_made_requests_are_announced(folder: Path) -> None:
    chat = {"messages": [{"role": "user", "content": "x"}]}
    chosen = choose(workload_of(chat))
    assert isinstance(chosen.prompt, ReadyMade)
    assert chosen.said == (
        "The rows are requests already (chat format): "
        "a last assistant turn counts as an answer, not as input."
    )
    assert isinstance(choose(workload_of(chat), prompt="{{ messages }}").prompt, Template)


def test_ready_made_requests_take_no_second_system_prompt(folder: Path) -> None:
    with pytest.raises(InputError) as caught:
        choose(workload_of({"messages": [{"role": "user", "content": "x"}]}), system="S")
    assert caught.value.render() == (
        "error[system-twice]: --system is given, and the rows bring their own messages "
        "(chat format)\n"
        "  hint: leave it out, or give a --prompt too, which takes the rows as mere columns"
    )


def test_the_first_row_is_tried_before_the_pass(folder: Path) -> None:
    workload = workload_of({"a": None}, {"a": "x"})
    with pytest.raises(InputError) as caught:
        choose(workload, prompt="{{ a }}")
    assert caught.value.problems[0].where == "rows.jsonl:1"
    assert choose(workload, prompt="{{ a }}", skip_bad=True).said is None


def test_rows_without_a_request_are_skipped_and_counted_like_unreadable_ones(folder: Path) -> None:
    workload = workload_of({"a": "x"}, {"a": ""}, {"a": None}, {"b": "y"}, {"a": "z"})
    rows = workload.rows(skip_bad=True)
    made = [(r.number, q.messages[0].content) for r, q in requests(rows, Template("{{ a }}"))]
    assert made == [(1, "x"), (5, "z")]
    assert (rows.good, rows.bad) == (2, 3)
    assert [(p.code, p.where) for p in rows.problems] == [
        ("empty-prompt", "rows.jsonl:2"),
        ("null-value", "rows.jsonl:3"),
        ("missing-value", "rows.jsonl:4"),
    ]


def test_when_no_row_makes_a_request_there_is_an_error(folder: Path) -> None:
    rows = workload_of({"a": ""}, {"a": ""}).rows(skip_bad=True)
    with pytest.raises(InputError, match="none of the file's 2 rows can be used"):
        list(requests(rows, Template("{{ a }}")))


def test_jinja_is_loaded_only_when_a_template_is_made() -> None:
    probe = "import sys, planner.workload.prompt; sys.exit('jinja2' in sys.modules)"
    subprocess.run([sys.executable, "-c", probe], check=True)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (
            "banking77.csv",
            "No --prompt is given: each row is sent as its column `text` (mean 47 characters).",
        ),
        (
            "support_tickets.tsv",
            (
                "No --prompt is given: each row is sent as its column `text` (mean 266 "
                "characters); the other text columns: `label` (mean 17 characters)."
            ),
        ),
    ],
)
def test_real_rows_have_one_text_column(shared_workloads: Path, name: str, said: str) -> None:
    assert choose(open_workload(shared_workloads / name)).said == said


def test_real_chats_all_make_requests_and_end_in_answers(shared_workloads: Path) -> None:
    workload = open_workload(shared_workloads / "json_mode_chat.jsonl")
    prompt = choose(workload).prompt
    assert isinstance(prompt, ReadyMade)
    answers = [prompt.answer(row) for row, _ in requests(workload.rows(), prompt)]
    assert len(answers) == 500
    assert all(answers)


SCHEMA = {"type": "object", "properties": {"text": {"type": "string"}}}


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"response_format": {"type": "json_object"}}, None),
        ({"response_format": {"type": "text"}}, None),
        ({"text": {"format": {"type": "text"}, "verbosity": "low"}}, None),
        ({"text": {"format": {"type": "json_schema", "name": "n", "schema": SCHEMA}}}, SCHEMA),
        ({"output_format": {"type": "json_schema", "schema": SCHEMA}}, SCHEMA),
        ({"output_config": {"format": {"type": "json_schema", "schema": SCHEMA}}}, SCHEMA),
        ({"response_format": {"type": "json_schema", "json_schema": {"schema": SCHEMA}}}, SCHEMA),
        ({}, None),
    ],
)
def test_the_schema_is_found_in_every_wrapping(asked: dict[str, object], expected: object) -> None:
    request = ReadyMade(answers=False).render(row(input="a", **asked))
    assert (None if request.schema is None else json.loads(request.schema)) == expected


@pytest.mark.parametrize(
    ("choice", "forced"),
    [
        ("auto", False),
        ("none", False),
        (None, False),
        ("required", True),
        ({"type": "any"}, True),
        ({"type": "tool", "name": "n"}, True),
        ({"type": "auto"}, False),
    ],
)
def test_whether_a_tool_must_be_called(choice: object, forced: bool) -> None:
    asked = row(input="a", tools=[{"name": "n"}], tool_choice=choice)
    assert ReadyMade(answers=False).render(asked).forced is forced


def test_pictures_come_with_their_message_and_are_no_text() -> None:
    picture = {"type": "input_image", "width": 8, "height": 9, "detail": "high"}
    said = {"role": "user", "content": [{"type": "input_text", "text": "a"}, picture]}
    seen = Media(kind="image", size=(8, 9), detail="high")
    request = ReadyMade(answers=False).render(row(input=[said]))
    assert request.messages == (Message(role="user", content="a", media=(seen,)),)
    assert request.media == (seen,)


def test_a_picture_that_nobody_can_count_refuses_its_row() -> None:
    asked = row(input=[{"role": "user", "content": [{"type": "input_image"}]}])
    picky = ReadyMade(answers=False, uncountable=lambda media: f"no {media.kind} here")
    with pytest.raises(InputError) as caught:
        picky.render(asked)
    (problem,) = caught.value.problems
    assert problem.code == "uncountable"
    assert "no image here" in problem.message


def test_a_document_of_text_is_text_and_one_of_another_kind_is_refused() -> None:
    def asked(source: object) -> Row:
        part = {"type": "document", "source": source}
        return row(messages=[{"role": "user", "content": [part]}])

    ready = ReadyMade(answers=False)
    written = ready.render(asked({"type": "text", "media_type": "text/plain", "data": "abc"}))
    assert written.messages == (Message(role="user", content="abc"),)
    sheet = {"type": "base64", "media_type": "application/vnd.ms-excel", "data": "AAAA"}
    with pytest.raises(InputError, match="ms-excel"):
        ready.render(asked(sheet))


# --- what is read of a row ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("template", "read"),
    [
        ("{{ text }}", ("text",)),
        ("{{ row['a b'] }} {{ text|upper }}", ("a b", "text")),
        ("{{ note|default('') }}", ("note",)),
        ("{% for each in text %}{{ each }}{% endfor %}", ("text",)),
        ("no column at all", ()),
        ("{{ row|tojson }}", ("a b", "text", "note")),
        ("{{ row.text }} {{ row.items() }}", ("a b", "text", "note")),
        ("{% for name in row %}{{ row[name] }}{% endfor %}", ("a b", "text", "note")),
    ],
)
def test_the_columns_that_a_template_reads(template: str, read: tuple[str, ...]) -> None:
    columns = ("a b", "text", "note")
    assert Template(template).reads(columns) == read
    whole = {"a b": "1", "text": "2", "note": "3"}
    rows = [Row(number=1, line=1, fields={name: whole[name] for name in names})
            for names in (columns, read)]  # fmt: skip
    assert len({Template(template).render(row) for row in rows}) == 1


def test_requests_that_rows_bring_may_stand_in_any_column() -> None:
    assert ReadyMade(answers=False).reads(("id", "messages")) == ("id", "messages")
