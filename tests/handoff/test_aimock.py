"""The loop against a server that nobody here wrote: aimock's OpenAI files and batches.

Our own rehearsal shares our mistakes about the vendor; this one has its own. A proxy that loses
replies stands between them, since that is the one thing that aimock cannot do.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
import threading
from collections import Counter
from contextlib import contextmanager
from datetime import UTC, datetime
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from planner.handoff import rehearsal
from planner.handoff.keys import Key, Secret
from planner.handoff.providers import vendors
from tests.handoff.loop import Made, World, made

if TYPE_CHECKING:
    from collections.abc import Iterator

    from planner.handoff.vendor import BatchVendor

pytestmark = pytest.mark.node

AIMOCK = Path(sys.prefix) / "node/node_modules/@copilotkit/aimock/dist/cli.js"
LISTENING = "listening on http://127.0.0.1:"


@pytest.fixture
def aimock(tmp_path: Path) -> Iterator[int]:
    """Its port. Started anew for each test: a plan is found again where it was sent before."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("no Node (`node`) on this machine")
    if not AIMOCK.is_file():
        pytest.skip("aimock is not installed (`make test-all` does it, with npm)")
    fixtures = tmp_path / "none.json"
    fixtures.write_text('{"fixtures": []}')
    command = [node, str(AIMOCK), "--port", "0", "--fixtures", str(fixtures)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            said = next(line for line in process.stdout if LISTENING in line)
            yield int(said.rpartition(":")[2])
        finally:
            process.terminate()
            process.communicate()


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return made("openai", tmp_path_factory.mktemp("job"), rows=5, per_shard=3)


class Proxy(BaseHTTPRequestHandler):
    """Passes everything on; of creates it may lose the first replies."""

    port: ClassVar[int]
    lose: ClassVar[int]
    creates: ClassVar[int]
    protocol_version = "HTTP/1.1"

    def _pass(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        upstream = HTTPConnection("127.0.0.1", self.port)
        headers = {name: each for name, each in self.headers.items() if name.lower() != "host"}
        upstream.request(self.command, self.path, body, headers)
        reply = upstream.getresponse()
        said = reply.read()
        upstream.close()
        if self._lost():
            self.close_connection = True
            return
        self.send_response(reply.status)
        self.send_header("content-type", reply.headers.get("content-type", ""))
        self.send_header("content-length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    do_GET = do_POST = do_DELETE = _pass  # noqa: N815 -- the library's names

    def _lost(self) -> bool:
        if (self.command, self.path) != ("POST", "/v1/batches"):
            return False
        type(self).creates += 1
        return self.creates <= self.lose

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def proxy(port: int, lose: int) -> Iterator[str]:
    """The address of a proxy that loses so many replies to creates."""
    handler = type("Handler", (Proxy,), {"port": port, "lose": lose, "creates": 0})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/v1"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class Elsewhere(World):
    """A job whose vendor is not ours."""

    url: str = ""

    def vendor(self, key: str = "a-key") -> BatchVendor:
        return vendors.open_batches(
            "openai", base_url=self.url, key=Key(secret=Secret(key), found_in="a test")
        )


@contextmanager
def elsewhere(job: Made, folder: Path, port: int, *, lose: int = 0) -> Iterator[Elsewhere]:
    """A job at aimock."""
    with proxy(port, lose) as url, Elsewhere(job, folder) as world:
        world.url = url
        # Its clock is the machine's, and a batch made before its intent is not ours.
        world.time = rehearsal.clock.Virtual(datetime.now(UTC))  # noqa: TID251
        yield world


def got(port: int, path: str) -> bytes:
    connection = HTTPConnection("127.0.0.1", port)
    connection.request("GET", path, headers={"authorization": "Bearer a-key"})
    said = connection.getresponse().read()
    connection.close()
    return said


def batches(port: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(got(port, "/v1/batches?limit=100"))["data"]
    return found


def paid(port: int) -> Counter[str]:
    """How many batches were made of each shard."""
    files = [got(port, f"/v1/files/{each['input_file_id']}/content") for each in batches(port)]
    return Counter(hashlib.sha256(each).hexdigest() for each in files)


@pytest.mark.parametrize("lose", [0, 1, 2])
def test_each_shard_is_paid_once_whatever_is_lost(
    aimock: int, job: Made, tmp_path: Path, lose: int
) -> None:
    with elsewhere(job, tmp_path, aimock, lose=lose) as world:
        step = world.run(on_unknown="rearm")
        assert (step.over, world.kinds().count("adopted")) == ("done", lose)
        assert paid(aimock) == {each.sha256: 1 for each in job.shards}
        rows = world.output()
    assert [row["key"] for row in rows] == [f"k{number}" for number in range(5)]
    assert {(row["outcome"], row["text"]) for row in rows} == {
        ("succeeded", "Mock batch completion")
    }


@pytest.mark.parametrize(
    ("status", "outcome"),
    [("expired", "missing"), ("cancelled", "missing"), ("failed", "errored")],
)
def test_every_other_end_leaves_each_row_with_its_own(
    aimock: int,
    job: Made,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    status: str,
    outcome: str,
) -> None:
    """Here a failed batch has a file of errors, and an expired or cancelled one no file at all."""
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", f"x-aimock-batch-outcome: {status}")
    with elsewhere(job, tmp_path, aimock) as world:
        assert world.run().over is not None
        assert {row["outcome"] for row in world.output()} == {outcome}
        assert len(world.output()) == 5
    assert paid(aimock) == {each.sha256: 1 for each in job.shards}
