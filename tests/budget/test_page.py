"""The page that goes into the meeting: self-contained, safe, drawn right, read by a browser."""

from __future__ import annotations

import html
import json
import os
import re
import shutil
import subprocess
import tarfile
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.answers import Ask

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = next(filter(None, map(shutil.which, BROWSERS)), None)

MEGABYTE = 1_000_000


class Elements(HTMLParser):
    """Every element with its attributes; void and SVG elements need no closing."""

    VOID = frozenset({"meta", "link", "br", "img", "input", "hr"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.fixture
def page(ask: Ask) -> str:
    return ask("budget", "sample", "--format", "html").out


def test_it_is_one_file_without_script_or_request(page: str) -> None:
    elements = Elements(page)
    assert elements.open == []
    assert len(page.encode()) < MEGABYTE
    names = {name for name, _ in elements.found}
    assert names.isdisjoint({"script", "link", "img", "iframe", "object", "embed", "form", "base"})
    for name, attributes in elements.found:
        assert not [key for key in attributes if key.startswith("on")]
        assert "src" not in attributes
        assert "href" not in attributes or name == "a"
    assert "url(" not in page
    assert "@import" not in page


def test_the_answer_comes_first_and_exclusions_last(page: str) -> None:
    order = ["Support desk, the year ahead", "$11,", "Guardrails:", "Month by month", "Jobs",
             "Which assumption moves the total", "rows x tokens x $/M = $", "What is assumed",
             "Sources", "Left out: tax"]  # fmt: skip
    body = page.partition("<body>")[2]
    places = [body.index(each) for each in order]
    assert places == sorted(places)


def test_every_chart_says_what_it_shows(page: str) -> None:
    elements = Elements(page).found
    charts = [attributes for name, attributes in elements if name == "svg"]
    ids = {attributes.get("id") for _, attributes in elements}
    assert len(charts) == 2
    for chart in charts:
        assert chart["role"] == "img"
        assert chart["aria-labelledby"] in ids


def test_words_of_the_file_are_words(tmp_path: Path, ask: Ask) -> None:
    evil = "<script>alert(1)</script>"
    file = tmp_path / "budget.yaml"
    file.write_text(
        f"""\
budget: 1
title: "{evil} | *x*"
jobs:
  - {{name: "{evil}", rows: 10, input-tokens: 10, output-tokens: 1, model: gpt-6.2-sol,
     lane: batch, tags: {{"{evil}": "{evil}"}}}}
""",
        encoding="utf-8",
    )
    assert "<script" not in ask("budget", str(file), "--format", "html").out
    for name in ("md", "comment"):
        assert not re.search(r"(?<!\\)<script", ask("budget", str(file), "--format", name).out)


@pytest.fixture
def several(tmp_path: Path) -> Callable[[int, int], str]:
    """A file of so many jobs over so many months."""

    def write(jobs: int, months: int) -> str:
        lines = [
            f"  - {{name: job {n}, rows: {{expected: {1000 * (n + 1)}, high: 9000}}, lane: batch, "
            "input-tokens: 100, output-tokens: 10, model: gpt-6.2-sol}\n"
            for n in range(jobs)
        ]
        path = tmp_path / "budget.yaml"
        path.write_text(f"budget: 1\nmonths: {months}\njobs:\n{''.join(lines)}", encoding="utf-8")
        return str(path)

    return write


@pytest.mark.parametrize(("jobs", "months"), [(1, 1), (5, 12), (6, 13), (8, 60)])
def test_charts_keep_to_their_frame(
    several: Callable[[int, int], str], jobs: int, months: int, ask: Ask
) -> None:
    """Few jobs or many, a month or five years: marks stay inside, and colours are told apart."""
    page = ask("budget", several(jobs, months), "--format", "html").out
    (height,) = re.findall(r'viewBox="0 0 760 (\d+)" role="img" aria-labelledby="months', page)
    rects = [
        {key: float(value) for key, value in attributes.items() if value and key != "class"}
        for name, attributes in Elements(page).found
        if name == "rect"
    ]
    assert len(rects) == min(jobs, 5) * months + min(jobs, 10)
    for rect in rects[: min(jobs, 5) * months]:
        assert rect["height"] >= 0
        assert rect["width"] > 0
        assert 0 <= rect["x"] <= 760 - rect["width"]
        assert 0 <= rect["y"] <= float(height) - rect["height"]
    assert ("other jobs" in page) == (jobs > 5)


def test_no_driver_no_tornado(ask: Ask, tmp_path: Path) -> None:
    file = tmp_path / "budget.yaml"
    file.write_text(
        "budget: 1\njobs:\n  - {name: job, rows: 10, input-tokens: 10, output-tokens: 1, "
        "model: gpt-6.2-sol, lane: batch}\n",
        encoding="utf-8",
    )
    page = ask("budget", str(file), "--format", "html").out
    assert page.count("<svg") == 1
    assert "no driver has a low or high" in page


# --- in a real browser ------------------------------------------------------------------


def browse(*arguments: str, home: Path) -> subprocess.CompletedProcess[str]:
    assert CHROMIUM is not None
    return subprocess.run(
        [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
         "--disable-background-networking", "--no-first-run",
         "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1", f"--user-data-dir={home}",
         "--enable-logging=stderr", "--v=0", *arguments],
        env={**os.environ, "HOME": str(home), "DBUS_SESSION_BUS_ADDRESS": "disabled:"},
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        timeout=120,
        check=True,
    )  # fmt: skip


OWN = re.compile(r"https?://([a-z0-9-]+\.)*(google|googleapis|gvt1)\.com/")
"""What the browser itself asks for at every start; no source of ours lives there."""


def asked_by(page: Path, folder: Path) -> set[str]:
    """Every address that the browser tried to reach for the page."""
    log = folder / "net.json"
    browse("--dump-dom", f"--log-net-log={log}", page.as_uri(), home=folder / "home")
    tried = set(re.findall(r'"url":"((?:https?|wss?|ftp):[^"]*)"', log.read_text("utf-8")))
    return {each for each in tried if not OWN.match(each)}


browser = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here"),
]


@pytest.fixture
def saved(page: str, tmp_path: Path) -> Path:
    file = tmp_path / "page.html"
    file.write_text(page, encoding="utf-8")
    return file


class TestBrowser:
    pytestmark = browser

    def test_it_opens_without_an_error(self, saved: Path, tmp_path: Path) -> None:
        done = browse("--dump-dom", saved.as_uri(), home=tmp_path / "home")
        assert "Which assumption moves the total" in done.stdout
        assert [line for line in done.stderr.splitlines() if "CONSOLE" in line] == []

    def test_a_console_error_would_be_seen(self, saved: Path, tmp_path: Path) -> None:
        """The page's own policy refuses a script, and says so on the console."""
        text = saved.read_text(encoding="utf-8").replace("</main>", "<script>1</script></main>")
        saved.write_text(text, encoding="utf-8")
        done = browse("--dump-dom", saved.as_uri(), home=tmp_path / "home")
        assert [line for line in done.stderr.splitlines() if "CONSOLE" in line]

    def test_it_asks_for_nothing_else(self, saved: Path, tmp_path: Path) -> None:
        assert asked_by(saved, tmp_path) == set()

    def test_a_request_would_be_seen(self, saved: Path, tmp_path: Path) -> None:
        text = re.sub(r"<meta http-equiv[^>]*>", "", saved.read_text(encoding="utf-8"))
        image = '<img src="http://127.0.0.1:9/x.png" alt=""></main>'
        saved.write_text(text.replace("</main>", image), encoding="utf-8")
        assert asked_by(saved, tmp_path) == {"http://127.0.0.1:9/x.png"}

    def test_it_prints_on_a4(self, saved: Path, tmp_path: Path) -> None:
        pdf = tmp_path / "page.pdf"
        browse(
            f"--print-to-pdf={pdf}", "--no-pdf-header-footer", saved.as_uri(),
            home=tmp_path / "home",
        )  # fmt: skip
        raw = pdf.read_bytes()
        assert raw.startswith(b"%PDF-")
        boxes = set(re.findall(rb"/MediaBox \[0 0 ([\d.]+) ([\d.]+)\]", raw))
        assert [(round(float(w)), round(float(h))) for w, h in boxes] == [(595, 842)]
        pages = len(re.findall(rb"/Type /Page\b", raw))
        assert 2 <= pages <= 6


# --- an accessibility audit ---------------------------------------------------------------

AXE = "axe-core@4.14.1"

AUDIT = """
axe.run().then(found => {
  const pre = document.createElement('pre');
  pre.id = 'audit';
  pre.textContent = JSON.stringify({
    violations: found.violations.map(each => [each.impact, each.id, each.nodes.length]),
    passes: found.passes.map(each => each.id),
    undecided: found.incomplete.map(each => [each.id, each.nodes.length]),
  });
  document.body.append(pre);
});
"""


@pytest.fixture(scope="session")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The auditor's source, from the package registry; skips where there is none."""
    folder = tmp_path_factory.mktemp("axe")
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("no npm here, which fetches the accessibility auditor")
    fetched = subprocess.run([npm, "pack", AXE], cwd=folder, capture_output=True, check=False)
    if fetched.returncode:
        pytest.skip(f"{AXE} cannot be fetched")
    with tarfile.open(next(folder.glob("*.tgz"))) as archive:
        source = archive.extractfile("package/axe.min.js")
        assert source is not None
        return source.read().decode()


def audited(page: str, axe: str, folder: Path, *arguments: str) -> dict[str, Any]:
    """What the auditor finds in the page; its policy goes, since it lets no script in."""
    text = re.sub(r"<meta http-equiv[^>]*>", "", page)
    file = folder / "audited.html"
    file.write_text(
        text.replace("</body>", f"<script>{axe}</script><script>{AUDIT}</script></body>"),
        encoding="utf-8",
    )
    done = browse(
        "--dump-dom", "--virtual-time-budget=20000", *arguments, file.as_uri(),
        home=folder / "home",
    )  # fmt: skip
    said = re.search(r'<pre id="audit">(.*?)</pre>', done.stdout)
    assert said is not None
    found: dict[str, Any] = json.loads(html.unescape(said[1]))
    return found


class TestAccessibility:
    pytestmark = browser

    @pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
    def test_nothing_is_found(self, page: str, axe: str, tmp_path: Path, *, dark: bool) -> None:
        scheme = ["--blink-settings=preferredColorScheme=0"] if dark else []
        found = audited(page, axe, tmp_path, *scheme)
        assert found["violations"] == []
        assert "color-contrast" in found["passes"]

    def test_a_fault_would_be_found(self, page: str, axe: str, tmp_path: Path) -> None:
        faint = page.replace("</main>", '<p style="color:#eee;background:#fff">faint</p></main>')
        kinds = {kind for _, kind, _ in audited(faint, axe, tmp_path)["violations"]}
        assert kinds == {"color-contrast"}
