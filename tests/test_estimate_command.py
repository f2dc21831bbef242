"""`planner estimate` as people run it: the documented object, exit codes, errors, job files."""

from __future__ import annotations

import csv
import io
import json
import re
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.answers import Ask

FIGURES = ("--rows", "12480", "--input-tokens", "1180", "--output-tokens", "220")
MODEL = ("--model", "claude-haiku-4-5")

DOCUMENTED: dict[str, Any] = {
    "schema": "",
    "catalog": {"digest": "", "as_of": "", "oldest_source": ""},
    "workload": {
        "path": "",
        "format": "",
        "bytes": 0,
        "digest": "",
        "rows": {"value": 0, "low": 0, "high": 0},
    },
    "tokens": [
        {
            "model": "",
            "counter": "",
            "grade": "",
            "method": "",
            "n": 0,
            "seed": 0,
            "input": {"value": 0, "low": 0, "high": 0, "row_p50": 0, "row_p95": 0, "row_max": 0},
            "output": {"value": 0, "low": 0, "high": 0, "ceiling": 0, "basis": ""},
            "shared_prefix": 0,
        }
    ],
    "options": [
        {
            "id": "",
            "provider": "",
            "model": "",
            "lane": "",
            "strategy": "",
            "cache": False,
            "cost": {
                "expected": "",
                "low": "",
                "high": "",
                "ceiling": "",
                "components": [{"meter": "", "quantity": 0, "rate": "", "amount": ""}],
            },
            "finish": {
                "p50": 0.0,
                "p95": 0.0,
                "bound": None,
                "batches": None,
                "waves": None,
                "binding": "",
                "p95_raw": 0.0,
                "last_admission": 0.0,
                "rate": 0.0,
                "rows_per_batch": None,
                "concurrent": None,
            },
            "rescue": None,
            "p_deadline": {"mean": 0.0, "low": 0.0, "high": 0.0},
            "grade": "",
            "verdict": "",
            "gates": [],
            "risks": [],
            "dominated": False,
        }
    ],
    "decision": {"choice": "", "why": "", "by_model": {}},
    "assumptions": [""],
    "warnings": [],
}


def _asked(ask: Ask, *arguments: str) -> Any:
    answer = ask("estimate", *arguments, "--format", "json")
    return json.loads(answer.out)


def _holds(documented: Any, found: Any, path: str = "") -> None:
    """Every documented key is there, and of the documented kind; more keys are allowed."""
    if isinstance(documented, dict):
        assert set(documented) <= set(found), f"{path}: {set(documented) - set(found)} missing"
        for key, value in documented.items():
            _holds(value, found[key], f"{path}.{key}")
    elif isinstance(documented, list):
        assert isinstance(found, list), path
        if documented and documented[0] != "":
            _holds(documented[0], found[0], f"{path}[0]")
    elif documented is not None:
        assert isinstance(found, type(documented)), f"{path}: {found!r}"


def test_the_documented_keys_are_there(ask: Ask) -> None:
    _holds(DOCUMENTED, _asked(ask, "sample", *MODEL, "--deadline", "6h"))


def test_components_are_exact_and_add_up_to_the_expected_cost(ask: Ask) -> None:
    for option in _asked(ask, "sample", *MODEL, "--deadline", "6h")["options"]:
        if option["cost"] is None:
            continue
        parts = option["cost"]["components"]
        for part in parts:
            exact = part["quantity"] * Decimal(part["rate"]) / 10**6
            assert Decimal(part["amount"]) == exact
        assert sum(Decimal(part["amount"]) for part in parts) == Decimal(option["cost"]["expected"])


def test_the_same_question_has_the_same_bytes(ask: Ask) -> None:
    question = ("estimate", "sample", "--deadline", "6h", "--format", "json")
    assert ask(*question).out == ask(*question).out


def test_without_models_each_featured_one_is_answered_and_none_crowned(ask: Ask) -> None:
    answer = _asked(ask, *FIGURES)
    assert answer["decision"]["choice"] is None
    providers = {option["provider"] for option in answer["options"]}
    assert len(answer["decision"]["by_model"]) >= 2 * len(providers)


def test_no_deadline_asks_for_no_probability(ask: Ask) -> None:
    answer = _asked(ask, *FIGURES, *MODEL)
    assert {str(option["p_deadline"]) for option in answer["options"]} == {"None"}
    assert answer["decision"]["choice"] == "claude-haiku-4-5/batch"


@pytest.mark.parametrize(
    ("demand", "exit_code", "choice"),
    [
        (("--deadline", "72h"), 0, "claude-haiku-4-5/batch"),
        (("--deadline", "4h"), 0, "claude-haiku-4-5/batch>standard"),
        (("--deadline", "16m"), 0, "claude-haiku-4-5/standard"),
        (("--deadline", "2m"), 1, None),
        (("--deadline", "72h", "--respond-within", "30s"), 0, "claude-haiku-4-5/standard"),
        (("--max-cost", "0.50"), 1, None),
    ],
)
def test_the_choice_and_the_exit_code(
    ask: Ask, demand: tuple[str, ...], exit_code: int, choice: str | None
) -> None:
    answer = ask("estimate", *FIGURES, *MODEL, *demand, "--format", "json")
    assert answer.exit_code == exit_code
    assert json.loads(answer.out)["decision"]["choice"] == choice


def test_somebody_who_waits_gates_batches_out_and_says_why(ask: Ask) -> None:
    answer = _asked(ask, *FIGURES, *MODEL, "--respond-within", "2s")
    batch = next(option for option in answer["options"] if option["lane"] == "batch")
    assert [gate["code"] for gate in batch["gates"]] == ["respond-within"]


def test_csv_has_a_line_an_option(ask: Ask) -> None:
    answer = ask("estimate", *FIGURES, *MODEL, "--deadline", "6h", "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(answer.out)))
    assert [row["id"] for row in rows] == [
        option["id"] for option in _asked(ask, *FIGURES, *MODEL, "--deadline", "6h")["options"]
    ]


def test_an_output_file_is_written_whole_or_not_at_all(ask: Ask, tmp_path: Path) -> None:
    target = tmp_path / "answer.json"
    told = ask("estimate", *FIGURES, *MODEL, "--format", "json", "-o", str(target))
    assert told.out == ""
    assert json.loads(target.read_text())["schema"] == "planner.estimate/1"
    assert [each.name for each in tmp_path.iterdir()] == ["answer.json"]
    missing = tmp_path / "nowhere" / "answer.json"
    refused = ask("estimate", *FIGURES, *MODEL, "-o", str(missing))
    assert refused.exit_code == 2
    assert "error[cannot-write]" in refused.err


# --- errors -----------------------------------------------------------------------------


def _file(folder: Path, name: str, content: bytes) -> str:
    path = folder / name
    path.write_bytes(content)
    return str(path)


def test_an_unreadable_row_stops_with_its_line_or_is_left_out(ask: Ask, tmp_path: Path) -> None:
    path = _file(tmp_path, "rows.jsonl", b'{"text": "good"}\n{"text": bad}\n{"text": "fine"}\n')
    stopped = ask("estimate", path, *MODEL, "--output-tokens", "9")
    assert stopped.exit_code == 2
    assert f"at {path}:2" in stopped.err
    assert "--skip-bad-rows" in stopped.err
    skipped = ask("estimate", path, *MODEL, "--output-tokens", "9", "--skip-bad-rows")
    assert skipped.exit_code == 0
    assert "2 rows" in skipped.out
    assert "1 unreadable row" in skipped.out


BAD = {
    "empty.csv": (b"", 2, "empty-file"),
    "binary.csv": (b"a,b\n\x00\x01\x02", 2, "binary-file"),
    "latin.csv": ("text\ncaf\u00e9\n".encode("latin-1"), 2, "not-utf-8"),
    "array.jsonl": (b"[1, 2]\n", 2, "bad-row"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_file_that_cannot_be_used_is_one_clear_error(ask: Ask, tmp_path: Path, name: str) -> None:
    content, exit_code, code = BAD[name]
    answer = ask("estimate", _file(tmp_path, name, content), *MODEL, "--output-tokens", "9")
    assert answer.exit_code == exit_code
    assert answer.out == ""
    assert answer.err.startswith(f"error[{code}]: ")
    assert answer.err.count("error[") == 1


def test_an_unknown_column_is_named_with_those_there_are(ask: Ask, tmp_path: Path) -> None:
    path = _file(tmp_path, "rows.csv", b"title,text\na,b\n")
    answer = ask("estimate", path, *MODEL, "--prompt", "{{ txet }}", "--output-tokens", "9")
    assert answer.exit_code == 2
    assert "error[unknown-column]" in answer.err
    assert "txet" in answer.err
    assert "text" in answer.err


@pytest.mark.parametrize(
    ("model", "hint"), [("claude-haiku-55", "claude-haiku-5-5"), ("gpt-6.2-slo", "gpt-6.2-sol")]
)
def test_an_unknown_model_is_an_error_with_suggestions(ask: Ask, model: str, hint: str) -> None:
    answer = ask("estimate", *FIGURES, "--model", model)
    assert answer.exit_code == 3
    assert answer.out == ""
    assert f"no model {model!r} in the catalog" in answer.err
    assert hint in answer.err


def test_a_broken_pricing_file_is_reported_with_its_lines(ask: Ask, tmp_path: Path) -> None:
    _file(tmp_path, "anthropic.yaml", b"schema: 1\nprovider: anthropic\nprovider: twice\n")
    answer = ask("estimate", *FIGURES, *MODEL, "--pricing", str(tmp_path))
    assert answer.exit_code == 2
    assert "anthropic.yaml:3" in answer.err


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("--rows", "0", "--input-tokens", "1"),
        ("--rows", "10"),
        (*FIGURES, "--deadline", "soon"),
        (*FIGURES, "--limit", "rmp=1"),
        (*FIGURES, "--confidence", "1"),
        (*FIGURES, "--tier", "nobody=start"),
        (*FIGURES, *MODEL, "--tier", "platinum"),
        (*FIGURES, *MODEL, "--lane", "batc"),
        (*FIGURES, *MODEL, "--region", "mars"),
        ("sample", "--rows", "10"),
        ("no-such-file.csv",),
        (".",),
    ],
)
def test_no_input_ends_in_a_traceback(ask: Ask, arguments: tuple[str, ...]) -> None:
    answer = ask("estimate", *arguments)
    if answer.exit_code in (0, 1):
        assert answer.out
    else:
        assert answer.exit_code in (2, 3)
        assert answer.err.startswith("error[")


def test_the_word_sample_means_the_shipped_one_wherever_it_is_said(
    ask: Ask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _file(tmp_path, "sample", b"text\nsomebody else's\n")
    monkeypatch.chdir(tmp_path)
    assert ask("estimate", "sample", *MODEL).out.startswith("tickets.csv: 70 rows")
    own = ask("estimate", "./sample", *MODEL, "--input-format", "csv", "--output-tokens", "9")
    assert own.out.startswith("sample: 1 row,")


# --- job files --------------------------------------------------------------------------

JOB = """\
rows: 12480
input-tokens: 1180
output-tokens: 220
model: [claude-haiku-4-5]
deadline: 6h
"""


def test_a_job_file_says_the_same_as_the_flags_and_flags_win(ask: Ask, tmp_path: Path) -> None:
    path = _file(tmp_path, "job.yaml", JOB.encode())
    flags = ask("estimate", *FIGURES, *MODEL, "--deadline", "6h").out
    assert ask("estimate", path).out == flags
    longer = ask("estimate", *FIGURES, *MODEL, "--deadline", "30h").out
    assert ask("estimate", path, "--deadline", "30h").out == longer != flags


def test_a_job_files_workload_is_relative_to_it(ask: Ask, tmp_path: Path) -> None:
    _file(tmp_path, "rows.csv", b"text\nhello there\n")
    path = _file(
        tmp_path, "job.yaml", b"workload: rows.csv\nmodel: claude-haiku-4-5\noutput-tokens: 9\n"
    )
    assert ask("estimate", path).out.startswith("rows.csv: 1 row,")


def test_every_problem_of_a_job_file_is_reported_with_its_line(ask: Ask, tmp_path: Path) -> None:
    path = _file(tmp_path, "job.yaml", b"rows: 10\nmodell: x\ndedline: 6h\n")
    answer = ask("estimate", path)
    assert answer.exit_code == 2
    assert "job.yaml:2" in answer.err
    assert "job.yaml:3" in answer.err
    assert "did you mean model?" in answer.err


def test_a_terminal_folds_at_its_own_width_and_a_file_never(
    ask: Ask, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked = ("check", "grok-4.3", "--as-of", "2027-03-30")
    fixed = ask(*asked).out
    for columns, widest in ((72, 72), (30, 60), (300, 120)):
        with monkeypatch.context() as patch:
            patch.setattr("sys.stdout.isatty", lambda: True)
            patch.setenv("COLUMNS", str(columns))
            out = ask(*asked).out
            assert out != fixed
            folded = [line for line in out.splitlines() if "http" not in line]
            assert max(map(len, folded)) in range(widest - 25, widest + 1)
            ask(*asked, "-o", str(tmp_path / "answer.txt"))
            assert (tmp_path / "answer.txt").read_text(encoding="utf-8") == fixed
    assert ask(*asked).out == fixed


# --- what a stranger meets --------------------------------------------------------------


def rows_file(tmp_path: Path) -> Path:
    file = tmp_path / "rows.csv"
    file.write_text("text\n" + "hello there\n" * 20, encoding="utf-8")
    return file


def test_an_assumed_answer_length_stands_beside_the_answer(ask: Ask, tmp_path: Path) -> None:
    out = ask("estimate", str(rows_file(tmp_path)), "--prompt", "{{ text }}", *MODEL).out
    answer = out.split("95 % interval")[0]
    assert "! rests on answers of 300 tokens (30 to 3,000) each, which is ASSUMED" in answer
    document = ask("estimate", "--rows", "9", "--input-tokens", "9", *MODEL, "--format", "md").out
    assert "which is ASSUMED, so anything from" in document.split("| lane |")[0]
    for form in ("table", "md"):
        assert "ASSUMED" not in ask("estimate", *FIGURES, *MODEL, "--format", form).out


def test_what_is_not_known_is_not_said_to_fail(ask: Ask) -> None:
    figures = (*FIGURES, "--deadline", "12h", "--model", "mistral-large-4")
    answer = ask("estimate", *figures)
    assert answer.exit_code == 1
    assert "mistral-large-4: nothing is known to meet the demand" in answer.out
    never = ask("estimate", *FIGURES, *MODEL, "--deadline", "60s").out
    assert "claude-haiku-4-5: nothing meets the demand" in never


def test_a_map_says_where_nothing_is_known_to_meet(ask: Ask) -> None:
    def legend(*more: str) -> str:
        lines = ask("estimate", *FIGURES, "--deadline", "12h", *more, "--map").out.splitlines()
        return lines[0]

    unknown, known = legend("--model", "mistral-large-4"), legend(*MODEL)
    assert "? = nothing is known to meet" in unknown
    assert "= nothing meets" not in unknown
    assert "known to meet" not in known


def test_what_is_taken_for_one_of_two_models_names_it(ask: Ask, tmp_path: Path) -> None:
    two = (*MODEL, "--model", "mistral-large-4", "--output-tokens", "20")
    said = ask("estimate", str(rows_file(tmp_path)), "--prompt", "{{ text }}", *two).out
    assumed = re.sub(r"\s+", " ", said.partition("Assumed:")[2])
    assert "- claude-haiku-4-5: Input tokens" in assumed
    assert "- mistral-large-4: Input tokens" in assumed
    assert "- answers of 20 tokens on average, as given" in assumed


def test_a_file_that_is_written_is_named(ask: Ask, tmp_path: Path) -> None:
    out = tmp_path / "answer.json"
    answer = ask("estimate", *FIGURES, *MODEL, "--format", "json", "-o", str(out))
    assert (answer.out, answer.err) == ("", f"written to {out}\n")
    assert json.loads(out.read_text(encoding="utf-8"))["schema"] == "planner.estimate/1"


@pytest.mark.parametrize(
    ("asked", "hint"),
    [
        (("esitmate", "rows.csv"), "did you mean estimate?"),
        (("chek", "claude-haiku-4-5"), "did you mean check?"),
        (("jbos",), "did you mean jobs?"),
        (("frobnicate", "now"), "planner --help lists the commands"),
        (("estimate", "rows.csv", "--promt", "x"), "did you mean --prompt"),
        (("estimate", "rows.csv", "--zzz"), "planner estimate --help lists"),
    ],
)
def test_a_slip_of_the_finger_is_told_what_was_meant(
    ask: Ask, asked: tuple[str, ...], hint: str
) -> None:
    answer = ask(*asked)
    assert answer.exit_code == 2
    assert hint in answer.err


def test_a_lane_that_a_person_chose_is_not_called_recommended(ask: Ask, tmp_path: Path) -> None:
    asked = (
        "plan",
        str(rows_file(tmp_path)),
        "--prompt",
        "{{ text }}",
        *MODEL,
        "--output-tokens",
        "9",
    )
    own = ask(*asked, "--lane", "standard", "-o", str(tmp_path / "own.plan.yaml"))
    assert own.out.startswith("claude-haiku-4-5/standard (chosen by you): 20 rows")
    ours = ask(*asked, "-o", str(tmp_path / "ours.plan.yaml"))
    assert ours.out.startswith("claude-haiku-4-5/batch (recommended): 20 rows")
