"""Two hundred broken pricing files: each ends in one clear report and exit 2, none loads."""

from __future__ import annotations

import random
import re
from typing import TYPE_CHECKING

import pytest

from planner import catalog
from planner.catalog import files
from planner.errors import InputError
from tests.catalog.conftest import VENDOR

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.answers import Ask

LINES = VENDOR.splitlines()
RATE = re.compile(r"(?<=[ {])(input|output|cache_read|multiply|rpm|itpm|prompt_gt): ([0-9.]+)")
BAD_NUMBERS = ("1e-6", "010", "0x1F", "1_000", ".5", "5.", "+1", "-1", ".inf", ".nan", '"1"', "~")
BAD_DATES = ("2026-13-01", "2026-02-30", "June 2026", "20260601", "yes", "1e3", '"2026-06-31"')


def rates(spoil: Callable[[str, str], str]) -> list[str]:
    """The vendor with each of its figures spoilt in turn."""
    return [
        VENDOR[: found.start()] + spoil(found[1], found[2]) + VENDOR[found.end() :]
        for found in RATE.finditer(VENDOR)
    ]


def numbers() -> list[str]:
    """Each figure in one of the notations that have two readings, or none."""
    draw = random.Random(1)
    return rates(lambda key, _: f"{key}: {draw.choice(BAD_NUMBERS)}")


def duplicates() -> list[str]:
    return rates(lambda key, value: f"{key}: {value}, {key}: {value}")[:25]


def misspelt() -> list[str]:
    return rates(lambda key, value: f"{key}x: {value}")


def without_source() -> list[str]:
    found = [
        found.span() for found in re.finditer(r"(?:, )?\bsource: (?:list|other)(?:, )?", VENDOR)
    ]
    return [VENDOR[:start] + VENDOR[end:] for start, end in found]


def unnamed_source() -> list[str]:
    found = [found.span() for found in re.finditer(r"\bsource: (?:list|other)", VENDOR)]
    return [f"{VENDOR[:start]}source: nobody{VENDOR[end:]}" for start, end in found]


def dates() -> list[str]:
    draw = random.Random(2)
    pattern = re.compile(r"(read|from|until|released|retires|known_from): (2026-[0-9-]+)")
    return [
        f"{VENDOR[: found.start(2)]}{draw.choice(BAD_DATES)}{VENDOR[found.end(2) :]}"
        for found in pattern.finditer(VENDOR)
    ]


def periods() -> list[str]:
    """Overlapping, empty, in the wrong order, promised without a promise."""
    changes = (
        ("from: 2026-07-01\n        state: announced", "from: 2026-07-01"),
        (
            "from: 2026-07-01\n        state: announced",
            "from: 2026-05-01\n        state: announced",
        ),
        ("from: 2026-07-01", "until: 2026-07-01"),
        ("from: 2026-07-01", "from: 2026-07-01\n        until: 2026-06-30"),
        ("      - from: 2026-07-01", "      - until: 2026-07-01\n        from: 2026-07-01"),
        (
            "from: 2026-08-01\n        state: cancelled",
            "from: 2026-06-15\n        state: announced",
        ),
    )
    return [replaced(old, new) for old, new in changes]


def shapes() -> list[str]:
    """Lanes, edges, limits and names that contradict each other."""
    changes = (
        ("base: true", "base: false"),
        ("plain: {delivery: sync", "plain: {delivery: async"),
        ("prompt_ge: 1000", "prompt_ge: 100"),
        ("prompt_ge: 1000", "prompt_ge: 1000, prompt_gt: 1000"),
        ("{prompt_gt: 100, multiply: 2}, {", "{prompt_gt: 100}, {"),
        ("aliases: [small-2026]", "aliases: [big]"),
        ("aliases: [small-2026]", "aliases: [a, a]"),
        ("models: [small], lanes: [plain]", "models: [smal], lanes: [plain]"),
        ("lanes: [plain]", "lanes: [plane]"),
        ("{tier: high,", "{tier: highest,"),
        ("{tier: low, models: all, usd_10min: 5", "{tier: low, models: all, rpm: 5"),
        ("      quick: {support: true", "      quicker: {support: true"),
        ("retires: 2026-12-01", "retires: 2026-12-01, retires_not_before: 2027-01-01"),
        ("models: listed", "models: some"),
        ("currency: USD", "currency: EUR"),
        ("per_tokens: 1000000", "per_tokens: 1000"),
        ("schema: 1", "schema: 2"),
        ("billed: {done: true", "billed: {done: maybe"),
        ("window: 24h", "window: a day"),
        ("multiply: 0.5,", "multiply: {cache_read: 0.5},"),
        ("output: 70}, over: []", "output: 70}"),
        ("    lanes:\n      slow:", "    lane:\n      slow:"),
    )
    return [replaced(old, new) for old, new in changes]


def hostile() -> list[str]:
    """What a parser must survive: bombs, depth, size, tags, anchors, several documents."""
    bomb = "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 9))
    return [
        f"a0: &a0 [x]\n{bomb}{VENDOR}",
        f"{VENDOR}deep: {'[' * 5000}{']' * 5000}\n",
        f"{VENDOR}big: '{'x' * 50_000_000}'\n",
        f"{VENDOR}many: [{'1, ' * 300_000}1]\n",
        f"{VENDOR}---\n{VENDOR}",
        f"%YAML 1.1\n---\n{VENDOR}",
        VENDOR.replace("schema: 1", "schema: !!int 1"),
        VENDOR.replace("schema: 1", "schema: !!python/object/apply:os.system [true]"),
        VENDOR.replace("name: Acme", "name: &name Acme"),
        VENDOR.replace("  small:\n", "  small:\n    <<: {featured: true}\n"),
        VENDOR.replace("  plain:", "\tplain:"),
        VENDOR.replace("name: Acme", "name: Ac\x00me"),
        VENDOR.replace("name: Acme", "name: no"),
        VENDOR.replace("provider: acme", "? [a]\n: b\nprovider: acme"),
        f"\ufeff{VENDOR}",
        VENDOR.replace("name: Acme", "name: [Acme"),
        "",
        "[]\n",
        "schema\n",
        "null\n",
        "{" * 100,
        "- " * 3000,
    ]


def torn(count: int) -> list[str]:
    """Seeded damage: lines lost, doubled, swapped, moved in or out; what still loads is kept out.

    A damaged file may happen to be a valid one (a line less that was optional): those are no
    broken files, and are replaced by further draws.
    """
    draw = random.Random(3)
    made: list[str] = []
    while len(made) < count:
        lines = list(LINES)
        place = draw.randrange(len(lines))
        match draw.randrange(5):
            case 0:
                lines.insert(place, lines[place])
            case 1:
                lines[place] = f" {lines[place]}"
            case 2:
                cut = draw.randrange(1, max(2, len(lines[place])))
                lines[place] = lines[place][:cut]
            case 3:
                lines[place] = lines[place].replace(":", "", 1)
            case _:
                other = draw.randrange(len(lines))
                lines[place], lines[other] = lines[other], lines[place]
        text = "\n".join(lines) + "\n"
        if text not in made and not loads(text):
            made.append(text)
    return made


def loads(text: str) -> bool:
    from planner import strict_yaml
    from planner.catalog import schema

    try:
        return schema.normalised(strict_yaml.load(text, "acme.yaml"))[0] is not None
    except InputError:
        return False


def replaced(old: str, new: str) -> str:
    assert old in VENDOR, old
    return VENDOR.replace(old, new, 1)


GENERATED = [
    *numbers(),
    *duplicates(),
    *misspelt(),
    *without_source(),
    *unnamed_source(),
    *dates(),
    *periods(),
    *shapes(),
    *hostile(),
]
BROKEN = [*GENERATED, *torn(max(30, 200 - len(GENERATED)))]
REPORTED = re.compile(r"error\[[a-z0-9-]+\]: .+")


def test_there_are_two_hundred() -> None:
    assert len(set(BROKEN)) == len(BROKEN) >= 200
    assert loads(VENDOR)


@pytest.mark.parametrize("number", range(len(BROKEN)))
def test_a_broken_file_ends_in_one_report(number: int, tmp_path: Path) -> None:
    """Every problem has a stable code, words, and the file with a line unless it has none."""
    (tmp_path / "acme.yaml").write_bytes(BROKEN[number].encode("utf-8", "surrogatepass"))
    with pytest.raises(InputError) as refused:
        catalog.load(tmp_path, cache=tmp_path / "cache")
    assert refused.value.exit_code == 2
    assert 1 <= len(refused.value.problems) <= 100
    for problem in refused.value.problems:
        assert REPORTED.match(problem.render()), problem
        assert problem.where is not None
        assert f"{tmp_path.name}/acme.yaml" in problem.where
        assert len(problem.render()) < 1000, "a report is read, not scrolled through"
    assert not (tmp_path / "cache").exists(), "nothing of it is kept"
    assert files.check(tmp_path / "acme.yaml") == refused.value.problems


@pytest.mark.parametrize("number", range(0, len(BROKEN), 20))
def test_the_command_line_says_the_same(number: int, tmp_path: Path, ask: Ask) -> None:
    path = tmp_path / "acme.yaml"
    path.write_bytes(BROKEN[number].encode("utf-8", "surrogatepass"))
    answer = ask("prices", "check", str(path))
    problems = files.check(path)
    assert (answer.exit_code, answer.out) == (2, "")
    assert answer.err == "\n".join(problem.render() for problem in problems) + "\n"
