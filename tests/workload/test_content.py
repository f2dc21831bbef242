from __future__ import annotations

import json
import re
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.workload.content import (
    ENOUGH,
    SLICE,
    Content,
    ContentMix,
    Statistics,
    Survey,
    classify,
    excerpt,
    statistics,
)

ENGLISH = (
    "The parcel arrived on Tuesday, but the box was empty. We have asked the carrier what "
    "happened to it, and they will call you by the end of this week with an answer. "
)
GERMAN = (
    "Das Paket kam am Dienstag an, aber die Schachtel war leer. Wir haben den Zusteller gefragt, "
    "was mit dem Inhalt geschehen ist, und er ruft Sie bis zum Ende der Woche an. "
)
FRENCH = (
    "Le colis est arrivé mardi, mais la boîte était vide. Nous avons demandé au transporteur ce "
    "qui est arrivé au contenu, et il vous appellera avant la fin de la semaine. "
)
CODE = """
def area(width, height):
    if width < 0 or height < 0:
        raise ValueError("negative side")
    return width * height

class Box:
    def __init__(self, sides):
        self.sides = tuple(sides)
"""
JSON = json.dumps(
    [{"id": 47, "state": "open", "owner": None, "tags": ["late", "refund"]} for _ in range(5)]
)
FIGURES = "12.50,1031,0.25\n13.75,998,0.31\n" * 8
SCRIPTS = {
    Content.CHINESE: "包裹星期二到了,但是盒子是空的。我们已经问过快递公司。",
    Content.JAPANESE: "荷物は火曜日に届きましたが、箱は空でした。運送会社に問い合わせました。",
    Content.KOREAN: "소포는 화요일에 도착했지만 상자는 비어 있었습니다. 택배 회사에 문의했습니다.",
    Content.CYRILLIC: "Посылка пришла во вторник, но коробка была пустой. Мы спросили курьера.",
    Content.ARABIC: "وصل الطرد يوم الثلاثاء لكن الصندوق كان فارغا وقد سألنا شركة النقل",
    Content.INDIC: "पार्सल मंगलवार को आया, लेकिन डिब्बा खाली था। हमने कूरियर से पूछा है।",
    Content.THAI: "พัสดุมาถึงเมื่อวันอังคาร แต่กล่องว่างเปล่า เราถามบริษัทขนส่งแล้ว",
    Content.OTHER_SCRIPT: "החבילה הגיעה ביום שלישי אבל הקופסה הייתה ריקה, ושאלנו את חברת המשלוחים",
}
KINDS = {
    Content.ENGLISH: ENGLISH,
    Content.CODE: CODE,
    Content.JSON: JSON,
    Content.FIGURES: FIGURES,
    **SCRIPTS,
}


def kind(text: str) -> Content:
    return classify(statistics(text))


@pytest.mark.parametrize("expected", KINDS)
def test_clear_texts_are_recognised(expected: Content) -> None:
    assert kind(KINDS[expected]) is expected


@pytest.mark.parametrize("text", [GERMAN, FRENCH])
def test_other_latin_languages_are_told_from_english(text: str) -> None:
    assert kind(text) is Content.LATIN


@pytest.mark.parametrize(
    "text",
    [
        "",
        " \n ",
        "SKU-4711-B red XL",
        "Quartz lamp ceiling fitting brushed nickel finish",
        "YWJjZGVmZ2hpamtsbW5vcHFyc3R1dnd4eXo0NzEx" * 8,
        "🙂🙂🙂✅",
        ENGLISH[:60] + SCRIPTS[Content.CHINESE],
        "id 4711, weight 12 kg, price 13.50 EUR, box 3 of 8",
    ],
)
def test_what_is_unclear_is_mixed(text: str) -> None:
    assert kind(text) is Content.MIXED


@given(st.text(st.characters()) | st.lists(st.sampled_from([*KINDS.values(), FRENCH])).map("".join))
def test_the_counts_are_those_of_each_character_by_itself(text: str) -> None:
    found = statistics(text)
    words = re.findall(r"[^\W\d_]+", text)
    assert found.characters == sum(not each.isspace() for each in text)
    assert found.letters == sum(map(len, words))
    assert found.digits == sum(each in "0123456789" for each in text)
    assert found.code_signs == sum(each in "(){}[]=;_<>" for each in text)
    assert found.accented == len(re.findall("[\u00c0-\u024f\u1e00-\u1eff]", text))
    assert found.scripts[Content.THAI] == len(re.findall("[\u0e00-\u0e7f]", text))
    assert found.words == len(words)
    assert found.english_words >= sum(word.lower() in ("the", "and", "was") for word in words)
    assert found.other_words >= sum(word.lower() in ("une", "où", "für", "não") for word in words)
    assert found.lines == sum(bool(line.strip()) for line in text.splitlines())


def counts(**changes: int) -> Statistics:
    plain: dict[str, int] = {
        "characters": 1000,
        "letters": 900,
        "digits": 0,
        "accented": 0,
        "words": 100,
        "english_words": 30,
        "other_words": 0,
        "lines": 10,
        "code_lines": 0,
        "code_signs": 0,
        "keys": 0,
    }
    return Statistics(scripts={}, **{**plain, **changes})


@pytest.mark.parametrize(
    ("below", "at", "then"),
    [
        ({"digits": 199}, {"digits": 200}, Content.MIXED),
        ({"keys": 16}, {"keys": 17}, Content.JSON),
        ({"accented": 17}, {"accented": 18}, Content.LATIN),
        ({"code_lines": 9, "code_signs": 59}, {"code_lines": 9, "code_signs": 60}, Content.CODE),
        ({"code_lines": 4, "code_signs": 99}, {"code_lines": 5, "code_signs": 99}, Content.CODE),
        ({"other_words": 30}, {"other_words": 31}, Content.LATIN),
    ],
)
def test_thresholds_turn_english_into_something_else(
    below: dict[str, int], at: dict[str, int], then: Content
) -> None:
    assert classify(counts(**below)) is Content.ENGLISH
    assert classify(counts(**at)) is then


def test_thresholds_below_which_nothing_is_claimed() -> None:
    assert classify(counts(english_words=12)) is Content.ENGLISH
    assert classify(counts(english_words=11)) is Content.MIXED
    assert classify(counts(digits=349)) is Content.MIXED
    assert classify(counts(digits=350)) is Content.FIGURES
    assert classify(counts(letters=549)) is Content.MIXED


@given(st.text(st.characters()))
def test_every_text_has_a_kind(text: str) -> None:
    assert kind(text) in Content
    assert len(excerpt(text)) <= 3 * SLICE + 2


def test_an_excerpt_shows_beginning_middle_and_end() -> None:
    text = "a" * 1000 + "b" * 1000 + "c" * 1000
    assert excerpt(text) == "\n".join(("a" * SLICE, "b" * SLICE, "c" * SLICE))


TEXTS = st.lists(
    st.tuples(st.sampled_from([*KINDS.values(), GERMAN, "short", ""]), st.integers(0, 5000)),
    max_size=400,
)


@given(TEXTS)
def test_a_survey_accounts_for_the_tokens_once(texts: list[tuple[str, int]]) -> None:
    survey = Survey()
    for text, tokens in texts:
        survey.add(text, tokens)
    passed = sum(tokens for _, tokens in texts)
    mix = survey.mix()
    assert passed <= mix.total <= passed + passed // 256 + 1
    assert sum(share for _, share in mix.shares()) == 1
    assert survey.mix() == mix


def test_a_survey_weighs_texts_by_their_tokens() -> None:
    survey = Survey()
    for _ in range(3000):
        survey.add(ENGLISH * 2, 30)
        survey.add(JSON, 90)
    shares = dict(survey.mix().shares())
    assert shares.keys() == {Content.ENGLISH, Content.JSON}
    assert abs(shares[Content.JSON] - Fraction(3, 4)) < Fraction(3, 100)


def test_short_texts_are_judged_together() -> None:
    survey = Survey()
    rows = ["I am still waiting", "on the card", "what can you do for me", "it is late"] * 40
    assert max(map(len, rows)) < ENOUGH
    for row in rows:
        survey.add(row, 5)
    assert survey.mix().shares() == ((Content.ENGLISH, Fraction(1)),)


def test_a_mix_of_nothing_is_mixed() -> None:
    assert Survey().mix() == ContentMix()
    assert ContentMix().shares() == ((Content.MIXED, Fraction(1)),)


def test_a_mix_reads_as_a_sentence_part() -> None:
    mix = ContentMix(tokens=((Content.ENGLISH, 750), (Content.CODE, 249), (Content.THAI, 1)))
    assert str(mix) == "75 % English prose, 25 % code"
    assert str(ContentMix(tokens=((Content.JSON, 1000), (Content.THAI, 1)))) == "JSON"
    assert str(ContentMix()) == "mixed or unclear text"
