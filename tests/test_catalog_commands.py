"""`models`, `check` and `prices` as people ask them: whole answers, exit codes, any date."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from planner import catalog

if TYPE_CHECKING:
    from pathlib import Path

    from tests.answers import Ask

NEXT_SUMMER = datetime(2027, 6, 1, 9, 0, tzinfo=UTC)


def price(ask: Ask, *arguments: str) -> dict[str, Any]:
    answer = ask("prices", "show", *arguments, "--format", "json")
    assert (answer.exit_code, answer.err) == (0, "")
    found: dict[str, Any] = json.loads(answer.out)
    return found


# --- check ------------------------------------------------------------------------------


def test_a_yes_with_its_evidence(ask: Ask) -> None:
    answer = ask("check", "grok-4.3", "--as-of", "2026-11-22")
    assert (answer.exit_code, answer.err) == (0, "")
    assert answer.out.splitlines()[0] == "YES: grok-4.3, batch (Batch API), 2026-11-22"
    assert "  of the ordinary price: input x0.8, output x0.8, cache_read x0.8" in answer.out
    assert "  source: https://docs.x.ai/" in answer.out


def test_a_no_with_its_reason(ask: Ask) -> None:
    answer = ask("check", "grok-4.6", "--as-of", "2026-11-22")
    assert (answer.exit_code, answer.err) == (1, "")
    assert answer.out == (
        "NO: grok-4.6, batch (Batch API), 2026-11-22\n"
        "  grok-4.6 is not offered in Batch API\n"
        "  note: refused with HTTP 400\n"
        "  read: 2026-08-28, a copy of the vendor's page\n"
        "  source: https://docs.x.ai/docs/guides/batch-api\n"
    )


def test_an_unknown_is_neither(ask: Ask) -> None:
    answer = ask("check", "grok-4.7", "--as-of", "2026-11-22", "--format", "json")
    assert (answer.exit_code, answer.err) == (3, "")
    found = json.loads(answer.out)
    assert (found["schema"], found["support"]) == ("planner.support/1", "unknown")
    assert found["evidence"]["via"] == "dataset"


def test_a_vendor_without_a_batch_lane_is_unknown_with_what_it_has(ask: Ask) -> None:
    answer = ask("check", "deepseek-flash", "--as-of", "2026-11-22")
    assert (answer.exit_code, answer.err) == (3, "")
    lines = answer.out.splitlines()
    assert lines[0] == "UNKNOWN: deepseek-flash, batch, 2026-11-22"
    assert any(line.startswith("  offpeak: yes") and "input x0.5" in line for line in lines)
    found = json.loads(ask("check", "deepseek-flash", "--lane", "flex", "--format", "json").out)
    assert (found["lane"], found["support"], found["evidence"]) == ("flex", "unknown", None)
    assert [each["lane"] for each in found["lanes"]] == ["standard", "offpeak"]


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ("claude-haiku-5-5", '  says: "All active models support the Message Batches API."'),
        ("kimi-k2.5", '  says: "Batch API currently only supports the kimi-k2.5 model"'),
        ("azure/gpt-5.4", None),
        ("vertex/gemini-2.5-flash", None),
    ],
)
def test_only_words_about_support_stand_beside_the_verdict(
    ask: Ask, model: str, words: str | None
) -> None:
    out = ask("check", model, "--as-of", "2026-11-22").out
    assert [line for line in out.splitlines() if "says:" in line] == ([words] if words else [])


def test_a_lane_of_no_vendor_is_a_mistake(ask: Ask) -> None:
    answer = ask("check", "deepseek-flash", "--lane", "ofpeak")
    assert (answer.exit_code, answer.out) == (3, "")
    assert "did you mean offpeak" in answer.err


def test_old_readings_are_said(ask: Ask) -> None:
    fresh, old = (ask("check", "grok-4.3", "--as-of", day) for day in ("2026-11-22", "2027-03-30"))
    assert "warning" not in fresh.out
    assert "  warning: source " in old.out
    found = json.loads(ask("check", "grok-4.3", "--as-of", "2027-03-30", "--format", "json").out)
    assert len(found["warnings"]) == old.out.count("  warning: ")


def test_the_keys_that_scripts_rely_on(ask: Ask) -> None:
    found = json.loads(ask("check", "claude-haiku-5-5", "--format", "json").out)
    assert (
        found
        | {
            "schema": "planner.support/1",
            "provider": "anthropic",
            "model": "claude-haiku-5-5",
            "lane": "batch",
            "support": "yes",
            "window": 86400,
        }
        == found
    )
    assert found["per_batch"] == {"requests": 100000, "bytes": 256000000}
    assert {"stream", "max_tokens: 0"} <= set(found["refuses"])
    assert found["discount"]["input"] == "0.5"
    assert set(found["evidence"]) >= {"url", "read", "via", "quote", "overlay"}


@pytest.mark.parametrize(
    ("on", "exit_code", "words"),
    [
        ("2026-11-29", 0, "ends: not offered from 2026-11-30 on"),
        ("2026-11-30", 1, "no longer offered in fast mode since 2026-11-30"),
    ],
)
def test_the_day_before_and_the_day(ask: Ask, on: str, exit_code: int, words: str) -> None:
    answer = ask("check", "claude-opus-4-8", "--lane", "fast", "--as-of", on)
    assert answer.exit_code == exit_code
    assert words in answer.out


# --- prices show ------------------------------------------------------------------------

SHOWN = """\
mistral-large-4, standard, 2026-10-25: US dollars per million tokens
  input       1.36
  output      4.18
  cache_read  0.14
  next: from 2026-10-29: input 1.36 -> 0.7, output 4.18 -> 2.1, cache_read 0.14 -> 0.07
  history:
    until 2026-10-20: input 0.68, output 2.09, cache_read 0.07
      promotional rates of the launch
    from 2026-10-20 until 2026-10-29: input 1.36, output 4.18, cache_read 0.14
    from 2026-10-29: input 0.7, output 2.1, cache_read 0.07
      the second change in nine days
"""


def test_a_price_with_its_history_and_what_comes_next(ask: Ask) -> None:
    answer = ask("prices", "show", "mistral-large-4", "--as-of", "2026-10-25")
    assert (answer.exit_code, answer.err) == (0, "")
    assert answer.out.startswith(SHOWN)
    assert answer.out.removeprefix(SHOWN).startswith("  read 2026-10-29, somebody's compilation")


def test_history_as_data(ask: Ask) -> None:
    found = price(ask, "mistral-large-4", "--as-of", "2026-11-22")
    assert [
        (each["since"], each["until"], each["rates"]["input"]) for each in found["history"]
    ] == [
        (None, "2026-10-20", "0.68"),
        ("2026-10-20", "2026-10-29", "1.36"),
        ("2026-10-29", None, "0.7"),
    ]
    assert found["next_change"] is None


def test_a_cancelled_change_stands_in_the_history_and_nowhere_else(ask: Ask) -> None:
    found = price(ask, "claude-sonnet-5", "--as-of", "2026-10-15")
    assert found["rates"]["input"] == "2"
    assert found["next_change"] is None
    cancelled = [each for each in found["history"] if each["state"] == "cancelled"]
    assert [(each["since"], each["rates"]["input"]) for each in cancelled] == [("2026-09-01", "3")]


def test_an_announced_change_says_so(ask: Ask) -> None:
    change = price(ask, "gemini-4-argon", "--as-of", "2026-11-30")["next_change"]
    assert (change["date"], change["state"]) == ("2026-12-01", "announced")
    assert change["rates"] == {"input": "4", "output": "20", "cache_read": "0.2"}
    after = price(ask, "gemini-4-argon", "--as-of", "2026-12-01")
    assert after["rates"] == change["rates"]
    assert after["begun_since_read"] != [], "nobody has read the page since"


def test_how_a_rate_came_about(ask: Ask) -> None:
    answer = ask(
        "prices", "show", "claude-haiku-5-5", "--lane", "batch", "--region", "us", "--explain"
    )
    steps = [line for line in answer.out.splitlines() if " = " in line]
    assert steps[0] == (
        "  input: 0.1 (list) x 0.5 (batch) x 1.1 (us) = 0.055 USD/M"
        " [source pricing, read 2026-10-08; source batch, read 2026-10-08]"
    )
    assert any(line.startswith("  input, prompt > 100,000: 0.1 (list) x 5 (") for line in steps)


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("gpt-5-nan",), "unknown-model"),
        (("gpt-5-",), "unknown-model"),
        (("claude-haiku",), "unknown-model"),
        (("gpt-6-sol", "--lane", "bach"), "unknown-lane"),
        (("gpt-6-sol", "--region", "mars"), "unknown-region"),
        (("gpt-6.2-sol", "--lane", "flex"), "unsupported"),
        (("gpt-5.5", "--lane", "fast", "--prompt-tokens", "272001"), "unknown-tier"),
        (("gpt-5.4", "--as-of", "2020-01-01"), "unknown-date"),
        (("claude-haiku-5-5", "--as-of", "2020-01-01"), "not-released"),
        (("gpt-5", "--as-of", "2027-01-01"), "retired"),
    ],
)
def test_what_the_catalog_does_not_know_is_never_a_number(
    ask: Ask, arguments: tuple[str, ...], code: str
) -> None:
    answer = ask("prices", "show", *arguments)
    assert (answer.exit_code, answer.out) == (3, "")
    assert answer.err.startswith(f"error[{code}]: ")


def test_a_longer_name_is_another_model(ask: Ask) -> None:
    assert price(ask, "gpt-5-nano")["rates"] != price(ask, "gpt-5")["rates"]


# --- prices diff ------------------------------------------------------------------------


def test_what_changed_between_two_days(ask: Ask) -> None:
    answer = ask("prices", "diff", "2026-10-01", "2026-12-02", "anthropic/claude")
    assert (answer.exit_code, answer.err) == (0, "")
    assert answer.out.startswith(
        "2026-10-01 to 2026-12-02: 6 changes; USD per million tokens\n"
        "\n"
        "day          model              lane       what changes\n"
        "2026-10-07   claude-sonnet-5-5  standard   cache_read 0.2 -> 0.1\n"
        "2026-10-07   claude-sonnet-5-5  batch      cache_read 0.1 -> 0.05\n"
        "2026-10-07   claude-haiku-5-5   all lanes  released\n"
        "2026-11-09   claude-fable-5-2   all lanes  released\n"
        "2026-11-30*  claude-opus-4-8    fast       support yes -> no\n"
        "2026-11-30*  claude-sonnet-4-5  all lanes  retired\n"
        "\n"
        "! * was announced when its source was read"
    )


def test_the_same_as_data(ask: Ask) -> None:
    answer = ask("prices", "diff", "2026-11-30", "2026-12-01", "gemini-4-argon", "--format", "json")
    found = json.loads(answer.out)
    assert found["schema"] == "planner.changes/1"
    step = found["changes"][0]
    assert (step["date"], step["model"], step["lane"]) == (
        "2026-12-01",
        "gemini-4-argon",
        "standard",
    )
    assert (step["kind"], step["announced"]) == ("price", True)
    assert step["rates"]["before"]["input"] == "2"
    assert step["rates"]["after"]["input"] == "4"


def test_a_quiet_time(ask: Ask) -> None:
    answer = ask("prices", "diff", "2026-11-20", "2026-11-21", "claude-haiku-5-5")
    assert answer.exit_code == 0
    assert answer.out == "2026-11-20 to 2026-11-21: no change that the catalog knows of\n"


@pytest.mark.parametrize(
    ("arguments", "exit_code", "code"),
    [
        (("2026-12-01", "2026-12-01"), 2, "bad-period"),
        (("2026-12-02", "2026-12-01"), 2, "bad-period"),
        (("2026-13-01", "2026-12-01"), 2, "bad-option"),
        (("2026-12-01", "2026-12-02", "clade"), 3, "no-match"),
    ],
)
def test_what_cannot_be_compared(
    ask: Ask, arguments: tuple[str, ...], exit_code: int, code: str
) -> None:
    answer = ask("prices", "diff", *arguments)
    assert (answer.exit_code, answer.out) == (exit_code, "")
    assert answer.err.startswith(f"error[{code}]: ")


# --- prices audit, check, confirm, and the user's own directory -----------------------------


def test_an_audit_asks_for_a_reader(ask: Ask) -> None:
    answer = ask("prices", "audit", "--provider", "google", "--as-of", "2026-12-02")
    assert answer.exit_code == 1
    assert "! come since anybody read the source: 1\n" in answer.out
    assert (
        "    google: gemini-4-argon: another price begins on 2026-12-01, and prices was"
        in answer.out
    )
    assert "planner prices confirm SOURCE --read DATE\n" in answer.out
    assert "    google/prices  https://ai.google.dev/" in answer.out


def test_an_audit_that_finds_nothing_to_do(ask: Ask) -> None:
    answer = ask(
        "prices", "audit", "--provider", "anthropic", "--as-of", "2026-11-12", "--format", "json"
    )
    found = json.loads(answer.out)
    assert (answer.exit_code, found["action"]) == (0, False)
    assert {each["code"] for each in found["findings"]} >= {"retires", "ahead", "support-unknown"}


def test_a_confirmation_settles_what_the_audit_asked_for(
    ask: Ask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLANNER_PRICING", str(tmp_path))
    (tmp_path / "google.yaml").write_text("schema: 1\nprovider: google\n")
    later = datetime(2026, 12, 5, tzinfo=UTC)
    begun = "come since anybody read the source"
    assert begun in ask("prices", "audit", "--provider", "google", now=later).out
    answer = ask("prices", "confirm", "google/prices", "--read", "2026-12-04", now=later)
    assert (answer.exit_code, answer.err) == (0, "")
    assert answer.out == (
        "google/prices: read 2026-12-04, before 2026-10-14\n"
        "  https://ai.google.dev/gemini-api/docs/pricing\n"
        f"wrote to {tmp_path}/google.yaml:\n"
        "  confirmed:\n"
        "    prices: 2026-12-04\n"
    )
    assert begun not in ask("prices", "audit", "--provider", "google", now=later).out
    shown = ask("prices", "show", "gemini-4-argon", now=later).out
    assert f"  read 2026-12-04, checked again as {tmp_path.name}/google.yaml says: " in shown


def test_the_users_own_directory_is_used_and_named(
    ask: Ask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file as people have it: in the place for settings, with one negotiated price."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    folder = tmp_path / "planner" / "pricing"
    assert ask("models", "gpt-6-sol").out.count("your own") == 0
    folder.mkdir(parents=True)
    (folder / "openai.yaml").write_text(
        "schema: 1\nprovider: openai\n"
        "sources: {contract: {url: 'file:contract.pdf', read: 2026-11-01}}\n"
        "models:\n  gpt-6-sol:\n    prices:\n"
        "      - {from: 2026-11-01, source: contract,"
        " rates: {input: 1, output: 5, cache_read: 0.1, cache_write_30m: 1}}\n"
    )
    name = "pricing/openai.yaml" if catalog.files.shipped().name != "pricing" else None
    name = name or "planner/pricing/openai.yaml"
    assert f"your own {name}: gpt-6-sol\n" in ask("models", "gpt-6-sol").out
    explained = ask("prices", "show", "gpt-6-sol", "--explain").out
    assert f"  read 2026-11-01, your own {name}: file:contract.pdf\n" in explained
    assert f"  input: 1 (list, from 2026-11-01) = 1 USD/M [source {name}/contract," in explained
    assert price(ask, "gpt-6-sol")["sources"][0]["overlay"] == name
    assert ask("prices", "check", str(folder / "openai.yaml")).exit_code == 0


def test_a_named_directory_lies_on_top_of_the_users_own(
    ask: Ask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, rate in (("one", 7), ("two", 9)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "private.yaml").write_text(
            "schema: 1\nprovider: openai\nsources: {own: {url: x, read: 2026-11-01}}\n"
            "models:\n  ours:\n    source: own\n    prices:\n"
            f"      - {{source: own, rates: {{input: {rate}, output: 1}}}}\n"
        )
    monkeypatch.setenv("PLANNER_PRICING", str(tmp_path / "one"))
    assert price(ask, "ours")["rates"]["input"] == "7"
    assert price(ask, "ours", "--pricing", str(tmp_path / "two"))["rates"]["input"] == "9"
    assert price(ask, "ours", "--pricing", str(tmp_path / "one"))["rates"]["input"] == "7"


def test_a_directory_that_is_named_must_be_there(
    ask: Ask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLANNER_PRICING", str(tmp_path / "nowhere"))
    answer = ask("models")
    assert (answer.exit_code, answer.out) == (2, "")
    assert answer.err.startswith("error[no-pricing]: no pricing files (*.yaml) in ")


def test_every_problem_of_a_file_at_once(ask: Ask, tmp_path: Path) -> None:
    path = tmp_path / "openai.yaml"
    path.write_text(
        "schema: 1\nprovider: openai\nsources:\n  own: {url: x, read: June}\n"
        "models:\n  gpt-6-sol:\n    contxt: 5\n    prices: [{source: onw, rates: {input: 1}}]\n"
    )
    answer = ask("prices", "check", str(path))
    assert (answer.exit_code, answer.out) == (2, "")
    problems = answer.err.split("error[")[1:]
    assert len(problems) >= 3
    assert {each.partition("]")[0] for each in problems} >= {
        "bad-date",
        "unknown-key",
        "unknown-source",
    }
    assert all(f"{tmp_path.name}/openai.yaml:" in each for each in problems)
    assert sum("hint: " in each for each in problems) >= 3


# --- models -----------------------------------------------------------------------------


def test_the_matrix(ask: Ask) -> None:
    answer = ask("models", "grok-4.7", "--as-of", "2026-11-22")
    assert (answer.exit_code, answer.err) == (0, "")
    assert answer.out == (
        "model     provider  input  output  context  lanes                       verified\n"
        "grok-4.7  xai           2       6     500k  +standard ?batch ?priority  2026-10-14\n"
        "\n"
        "1 model; + supported, - not, ? unknown; prices in US dollars per million\n"
    )


def test_models_as_data_are_the_checks(ask: Ask) -> None:
    listed = json.loads(
        ask("models", "claude-haiku-5-5", "--provider", "anthropic", "--format", "json").out
    )
    one = json.loads(ask("check", "claude-haiku-5-5", "--format", "json").out)
    assert one in listed


def test_every_model_and_lane_has_an_answer(ask: Ask) -> None:
    known = catalog.load()
    listed = json.loads(ask("models", "--format", "json").out)
    pairs = [(f"{each['provider']}/{each['model']}", each["lane"]) for each in listed]
    assert len(pairs) == len(set(pairs)) == sum(len(each.lanes) for each in known.models())
    assert {each["support"] for each in listed} == {"yes", "no", "unknown"}


# --- any date ---------------------------------------------------------------------------

QUESTIONS = (
    ("models",),
    ("models", "batch:yes", "--format", "json"),
    ("check", "claude-haiku-5-5"),
    ("check", "gpt-5-nano", "--lane", "flex", "--format", "json"),
    ("prices", "show", "gemini-4-argon"),
    ("prices", "show", "gpt-6.2-sol", "--lane", "ultrafast", "--explain"),
    ("prices", "audit"),
    ("prices", "audit", "--format", "json"),
)


@pytest.mark.parametrize("question", QUESTIONS, ids=" ".join)
def test_with_a_date_the_clock_does_not_matter(ask: Ask, question: tuple[str, ...]) -> None:
    """The same question as of the same day, asked half a year later."""
    today = ask(*question, "--as-of", "2026-11-22")
    assert ask(*question, "--as-of", "2026-11-22", now=NEXT_SUMMER) == today


@pytest.mark.parametrize("question", QUESTIONS, ids=" ".join)
def test_without_a_date_it_is_the_clocks_day(ask: Ask, question: tuple[str, ...]) -> None:
    assert ask(*question, now=NEXT_SUMMER) == ask(*question, "--as-of", "2027-06-01")


def test_next_summer_everything_wants_reading_again(ask: Ask) -> None:
    answer = ask("prices", "audit", "--format", "json", now=NEXT_SUMMER)
    found = json.loads(answer.out)
    assert answer.exit_code == 1
    assert {each["provider"] for each in found["findings"] if each["code"] == "stale"} == {
        each.id for each in catalog.load().providers
    }
    assert ask("prices", "show", "gpt-5", now=NEXT_SUMMER).exit_code == 3, "it shut down"
    ultrafast = ask("prices", "show", "gpt-6.2-sol", "--lane", "ultrafast", now=NEXT_SUMMER)
    assert "! a price of gpt-6.2-sol announced for 2027-03-01 has begun" in ultrafast.out


def test_every_model_batches_or_does_not_or_nobody_knows(ask: Ask) -> None:
    counts = [
        len(json.loads(ask("models", *terms, "--format", "json").out))
        for terms in ((), ("batch:yes",), ("batch:no",), ("batch:unknown",))
    ]
    assert counts[0] == sum(counts[1:])
