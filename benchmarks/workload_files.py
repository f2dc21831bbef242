"""Workload files of any size for the benchmarks, the same bytes for the same seed and Python.

English prose and code are taken from Python's own library, so that nothing has to be shipped;
other scripts from short lists of words, JSON and figures from a generator.
"""

from __future__ import annotations

import json
import sysconfig
from functools import cache
from itertools import islice
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

WORDS = {
    "de": "der Vertrag wurde gestern unterschrieben und die Lieferung verzögert sich wegen einer "
    "fehlenden Genehmigung der zuständigen Behörde weshalb Kundinnen nachfragen",
    "ru": "договор был подписан вчера однако поставка задерживается потому что нет разрешения и "
    "клиенты спрашивают когда придёт заказ который они оплатили",
    "zh": "合同 昨天 已经 签署 但是 因为 缺少 许可 交货 推迟 客户 询问 什么时候 可以 收到",
    "hi": "अनुबंध पर कल हस्ताक्षर किए गए लेकिन अनुमति न होने के कारण वितरण में देरी हो रही है ग्राहक पूछ रहे हैं",
    "ar": "تم توقيع العقد أمس ولكن التسليم يتأخر بسبب عدم وجود تصريح والعملاء يسألون متى يصل الطلب",
}
MEDIAN = 500
SPREAD = 1.1
LONGEST = 200_000


@cache
def _prose() -> str:
    from pydoc_data import topics

    return "\n".join(topics.topics.values())


@cache
def _code() -> str:
    library = Path(sysconfig.get_paths()["stdlib"])
    return "\n".join(
        path.read_text(encoding="utf-8", errors="replace")
        for path in sorted(library.glob("[a-m]*.py"))
    )


def _passage(of: Callable[[], str]) -> Callable[[Random, int], str]:
    def made(random: Random, size: int) -> str:
        text = of()
        start = random.randrange(max(1, len(text) - size))
        return text[start : start + size]

    return made


def _words(language: str) -> Callable[[Random, int], str]:
    bank = WORDS[language].split()
    joint = "" if language == "zh" else " "

    def made(random: Random, size: int) -> str:
        count = max(1, size // (4 if joint == "" else 12))
        return joint.join(random.choices(bank, k=count))

    return made


def _objects(random: Random, size: int) -> str:
    found: list[dict[str, object]] = []
    written = 0
    while written < size:
        found.append(
            {
                "id": random.randrange(10**9),
                "status": random.choice(("open", "closed", "waiting")),
                "amount": round(random.uniform(0, 10_000), 2),
                "tags": random.choices(WORDS["de"].split(), k=3),
            }
        )
        written += 120
    return json.dumps(found, ensure_ascii=False)


def _figures(random: Random, size: int) -> str:
    return "\n".join(
        ",".join(str(random.randrange(10**6)) for _ in range(5)) for _ in range(size // 35 + 1)
    )


KINDS: tuple[tuple[float, Callable[[Random, int], str]], ...] = (
    (0.35, _passage(_prose)),
    (0.25, _passage(_code)),
    (0.15, _objects),
    (0.05, _figures),
    *((0.04, _words(language)) for language in WORDS),
)


def text(random: Random, size: int) -> str:
    """A text of one kind, of about that many bytes."""
    (make,) = random.choices([make for _, make in KINDS], [share for share, _ in KINDS])
    return make(random, size)


def texts(size: int, seed: int = 0) -> Iterator[str]:
    """Texts of every kind with very uneven lengths, of `size` bytes in all as JSON."""
    random = Random(seed)
    written = 0
    while written < size:
        length = min(LONGEST, round(MEDIAN * random.lognormvariate(0, SPREAD)) + 10)
        made = text(random, length)
        written += len(line(made))
        yield made


def line(text: str) -> bytes:
    """The row of a text."""
    return json.dumps({"text": text}, ensure_ascii=False).encode() + b"\n"


def table(path: Path, made: Iterable[str], *, group_rows: int) -> Path:
    """The texts as a Parquet file, with a number and a column that no prompt asks for beside."""
    import pyarrow as pa
    from pyarrow import parquet

    random = Random(0)
    schema = pa.schema([("id", "int64"), ("text", "string"), ("trace", "binary")])
    left = iter(made)
    with parquet.ParquetWriter(path, schema) as file:
        while held := list(islice(left, group_rows)):
            columns = [range(len(held)), held, [random.randbytes(200) for _ in held]]
            file.write_table(pa.table(columns, schema=schema), row_group_size=group_rows)
    return path
