"""The loader refuses whatever has two readings, and says where; it never raises anything else."""

from __future__ import annotations

import itertools
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict

from planner import strict_yaml
from planner.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path


def problems(source: str | bytes) -> list[tuple[str, str]]:
    """Code and place of each problem of a document."""
    with pytest.raises(InputError) as caught:
        strict_yaml.load(source, "f.yaml")
    return [(problem.code, problem.where or "") for problem in caught.value.problems]


def test_values_are_what_their_text_says() -> None:
    text = """
    int: 12
    negative: -3
    decimal: 0.10
    day: 2026-11-22
    month: 2026-09
    yes_: true
    no_: false
    nothing: null
    empty:
    word: 24h
    clock: 18:00
    version: 1.2.3
    quoted: "0.1"
    country: 'no'
    folded: >-
      two
      lines
    list: [1, 0.5, {a: b}]
    7: a key is text
    """
    data = strict_yaml.load(text, "f.yaml").data
    assert data == {
        "int": 12,
        "negative": -3,
        "decimal": Decimal("0.10"),
        "day": date(2026, 11, 22),
        "month": "2026-09",
        "yes_": True,
        "no_": False,
        "nothing": None,
        "empty": None,
        "word": "24h",
        "clock": "18:00",
        "version": "1.2.3",
        "quoted": "0.1",
        "country": "no",
        "folded": "two lines",
        "list": [1, Decimal("0.5"), {"a": "b"}],
        "7": "a key is text",
    }


@given(st.decimals(-(10**9), 10**9, places=12) | st.decimals(-(10**9), 10**9, places=0))
def test_decimals_keep_every_digit(value: Decimal) -> None:
    text = format(value, "f")
    loaded = strict_yaml.load(f"x: {text}", "f.yaml").data["x"]
    assert loaded == value
    assert not isinstance(loaded, float)
    assert format(Decimal(loaded), "f") in (text, text.removeprefix("-"))


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ("1e-6", "exponent-number"),
        ("1.5E3", "exponent-number"),
        ("1e400", "exponent-number"),
        ("010", "octal-number"),
        ("0o17", "octal-number"),
        ("01.5", "octal-number"),
        ("0x1F", "radix-number"),
        ("0b11", "radix-number"),
        ("1_000", "grouped-number"),
        ("1_000.5", "grouped-number"),
        (".5", "bare-point"),
        ("5.", "bare-point"),
        ("+5", "plus-sign"),
        (".inf", "not-finite"),
        ("-.inf", "not-finite"),
        (".nan", "not-finite"),
        ("nan", "not-finite"),
        ("yes", "ambiguous-word"),
        ("No", "ambiguous-word"),
        ("on", "ambiguous-word"),
        ("TRUE", "ambiguous-word"),
        ("~", "ambiguous-word"),
        ("2026-02-30", "bad-date"),
        ("9" * 5000, "long-number"),
        ("!!int 3", "tag"),
        ("!!python/object/apply:os.system [x]", "tag"),
        ("&a 3", "anchor"),
    ],
)
def test_two_readings_are_refused_where_they_stand(value: str, code: str) -> None:
    assert problems(f"fine: 1\nwrong: {value}\n") == [(code, "f.yaml:2:8")]


@pytest.mark.parametrize("word", ["1e-6", "010", ".inf", "yes", "0x1F", "1_000", "~"])
def test_quotes_make_text_of_it(word: str) -> None:
    assert strict_yaml.load(f'x: "{word}"', "f.yaml").data == {"x": word}


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("a: 1\nb: 2\na: 3\n", ("duplicate-key", "f.yaml:3:1")),
        ("x: {a: 1, a: 2}", ("duplicate-key", "f.yaml:1:11")),
        ("a: {b: *x}", ("alias", "f.yaml:1:8")),
        ("a:\n  <<: {b: 1}\n", ("merge-key", "f.yaml:2:3")),
        ("? [a]\n: 1\n", ("bad-key", "f.yaml:1:3")),
        ("a: 1\n---\nb: 2\n", ("several-documents", "f.yaml:2:1")),
        ("%YAML 1.1\n---\na: 1\n", ("directive", "f.yaml:1:1")),
        ("a:\n\tb: 1\n", ("tab", "f.yaml:2:1")),
        ("a: [1, 2\n", ("syntax", "f.yaml:2:1")),
        ("a: b: c\n", ("syntax", "f.yaml:1:5")),
        ("\ufeffa: 1\n", ("bad-character", "f.yaml:1:1")),
        ("a: 1\nb: \x00\n", ("bad-character", "f.yaml:2:4")),
        ("a: \ud800\n", ("bad-character", "f.yaml:1:4")),
        (b"a: 1\nb: \xff\n", ("not-utf8", "f.yaml:2:4")),
        ("a: {'': 1}", ("bad-key", "f.yaml:1:5")),
        ("[" * 100_000, ("too-deep", "f.yaml:1:41")),
        ("- " * 100_000, ("too-deep", "f.yaml:1:81")),
        ("x" * (strict_yaml.MAX_BYTES + 1), ("too-large", "f.yaml")),
        ("- 1\n" * (strict_yaml.MAX_NODES + 1), ("too-many-nodes", "f.yaml:200000:3")),
    ],
)
def test_structure_that_is_refused(source: str | bytes, expected: tuple[str, str]) -> None:
    assert problems(source) == [expected]


def test_an_alias_bomb_is_refused_at_its_first_anchor() -> None:
    lines = ["a: &a [x, x, x, x, x, x, x, x, x]"]
    names = "abcdefghi"
    lines += [
        f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]"
        for before, name in itertools.pairwise(names)
    ]
    found = problems("\n".join(lines))
    assert found[0] == ("anchor", "f.yaml:1:4")
    assert {code for code, _ in found} == {"anchor", "alias"}


def test_all_problems_come_in_one_report_with_their_paths() -> None:
    text = "models:\n  a:\n    - {rate: 1e-6}\n    - {rate: 010}\n  b: yes\n  a: 1\n"
    with pytest.raises(InputError) as caught:
        strict_yaml.load(text, "pricing/x.yaml")
    assert caught.value.exit_code == 2
    assert caught.value.render() == (
        "error[exponent-number]: models.a[0].rate: '1e-6' is not a plain decimal number\n"
        "  at pricing/x.yaml:3:14\n"
        "  hint: write all digits, as in 0.000001\n"
        "error[octal-number]: models.a[1].rate: '010' is not a plain decimal number\n"
        "  at pricing/x.yaml:4:14\n"
        "  hint: remove the leading zero, or quote the value if it is text\n"
        "error[ambiguous-word]: models.b: 'yes' can be read two ways\n"
        "  at pricing/x.yaml:5:6\n"
        '  hint: write true, false or null; put text in quotes, as in "no"\n'
        "error[duplicate-key]: models.a: key 'a' a second time\n"
        "  at pricing/x.yaml:6:3\n"
        "  hint: first on line 2"
    )


def test_a_report_ends_somewhere() -> None:
    text = "".join(f"k{number}: 1e5\n" for number in range(1000))
    assert len(problems(text)) == strict_yaml.MAX_PROBLEMS


def test_where_finds_the_nearest_place() -> None:
    document = strict_yaml.load("a:\n  b: [1, {c: 2}]\n", "f.yaml")
    assert document.where(("a", "b", 1, "c")) == "f.yaml:2:11"
    assert document.where(("a", "b", 1, "missing")) == "f.yaml:2:10"
    assert document.where(("a", "zzz")) == "f.yaml:1:1"
    assert document.where(()) == "f.yaml:1:1"


def test_an_unreadable_file_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        strict_yaml.read(tmp_path / "none.yaml", "none.yaml")
    assert caught.value.render() == (
        "error[unreadable]: cannot read none.yaml: No such file or directory\n  at none.yaml"
    )


def test_reading_stops_at_the_size_limit(tmp_path: Path) -> None:
    path = tmp_path / "big.yaml"
    path.write_bytes(b"a: 1\n" * 2_000_000)
    with pytest.raises(InputError) as caught:
        strict_yaml.read(path, "big.yaml")
    assert [problem.code for problem in caught.value.problems] == ["too-large"]


YAMLISH = st.text(
    alphabet=st.sampled_from("ab01 :-?{}[],#&*!|>'\"%@`\n\t.<~_+eExXn=\\\u00e9\u2028\U0001f600")
)


@given(st.one_of(st.text(), YAMLISH, st.binary()))
def test_any_input_loads_or_is_refused(source: str | bytes) -> None:
    assert outcome(source)


def outcome(source: str | bytes) -> bool:
    """Whether a document loads without a float, or is refused with places in the file."""
    try:
        document = strict_yaml.load(source, "f.yaml")
    except InputError as refused:
        return all((problem.where or "").startswith("f.yaml") for problem in refused.problems)
    return no_float(document.data)


def no_float(value: object) -> bool:
    """Whether a loaded value is free of binary floats."""
    if isinstance(value, dict):
        return all(isinstance(key, str) and no_float(each) for key, each in value.items())
    if isinstance(value, list):
        return all(no_float(each) for each in value)
    return not isinstance(value, float)


class Inner(BaseModel):
    model_config = ConfigDict(extra="forbid")
    deadline: str
    tier: str | None = None


class Outer(BaseModel):
    model_config = ConfigDict(extra="forbid")
    jobs: dict[str, Inner]
    rows: int = 0


def test_validation_says_line_path_and_hint() -> None:
    text = "rows: many\njobs:\n  first: {deadlin: 6h, tier: null}\n  second: {deadline: 5}\n"
    with pytest.raises(InputError) as caught:
        strict_yaml.validate(strict_yaml.load(text, "job.yaml"), Outer)
    found = [(problem.code, problem.message, problem.where) for problem in caught.value.problems]
    assert (
        "unknown-key",
        "jobs.first.deadlin: unknown key 'deadlin'",
        "job.yaml:3:11",
    ) in found
    assert (
        "missing-key",
        "jobs.first.deadline: key 'deadline' is missing",
        "job.yaml:3:3",
    ) in found
    assert found[-1][2] == "job.yaml:1:1"
    hints = [problem.hint for problem in caught.value.problems if problem.code == "unknown-key"]
    assert hints == ["did you mean deadline?"]


def test_validation_passes_what_fits() -> None:
    document = strict_yaml.load("jobs: {a: {deadline: 6h}}\nrows: 3\n", "job.yaml")
    assert strict_yaml.validate(document, Outer).rows == 3


@pytest.mark.parametrize("text", ["", "5", "[]", "just words"])
def test_a_document_that_is_no_mapping_is_refused(text: str) -> None:
    with pytest.raises(InputError):
        strict_yaml.validate(strict_yaml.load(text, "job.yaml"), Outer)
