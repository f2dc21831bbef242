"""What vendors once answered, word for word, on a socket of this machine.

The recordings are other people's and stay where they are; tests skip with a line where there are
none.
"""

from __future__ import annotations

import gzip
from collections import defaultdict
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
import yaml

from tests.handoff.contract.loopback import Said, Script, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

RECORDINGS = Path(__file__).resolve().parents[3] / "shared" / "recordings"
HOSTS = {"anthropic": "api.anthropic.com", "openai": "api.openai.com"}
OF_THE_WAY = {"content-encoding", "transfer-encoding", "connection", "content-length"}
"""Headers of the transport, not of the reply."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """One call and its reply."""

    method: str
    path: str
    sent: bytes
    said: Said


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """The calls of one run to one vendor, in their order."""

    provider: str
    name: str
    calls: tuple[Recorded, ...] = field(default_factory=tuple)

    def script(self) -> Script:
        """Its replies, for a server that gives them in the same order."""
        script, replies = Script(), defaultdict(list)
        for each in self.calls:
            replies[f"{each.method} {each.path}"].append(each.said)
        for call, said in replies.items():
            script.say(call, *said)
        return script

    @property
    def bodies(self) -> list[bytes]:
        """What was answered."""
        return [each.said.body for each in self.calls]


def recordings(provider: str) -> list[Recording]:
    """All recordings of a vendor; skips the test where there are none."""
    if not RECORDINGS.is_dir():
        pytest.skip("no folder of recorded traffic beside the checkout (../shared/recordings)")
    files = sorted(RECORDINGS.glob(f"{provider}-*.yaml"))
    return [read(provider, file) for file in files]


def read(provider: str, file: Path) -> Recording:
    """One cassette, without the calls to other hosts."""
    data = yaml.load(file.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)  # noqa: TID251
    calls = tuple(
        _recorded(each)
        for each in data["interactions"]
        if urlsplit(each["request"]["uri"]).hostname == HOSTS[provider]
    )
    return Recording(provider=provider, name=file.stem, calls=calls)


def _recorded(found: dict[str, Any]) -> Recorded:
    request, response = found["request"], found["response"]
    headers = {name.lower(): values[0] for name, values in response["headers"].items()}
    kept = {name: value for name, value in headers.items() if name not in OF_THE_WAY}
    return Recorded(
        method=request["method"],
        path=urlsplit(request["uri"]).path,
        sent=_bytes(request["body"]),
        said=Said(
            status=response["status"]["code"],
            body=_plain(_bytes(response["body"]["string"])),
            headers=kept,
        ),
    )


def _bytes(value: str | bytes | None) -> bytes:
    return value.encode() if isinstance(value, str) else value or b""


def _plain(body: bytes) -> bytes:
    return gzip.decompress(body) if body.startswith(b"\x1f\x8b") else body


@contextmanager
def replaying(recording: Recording) -> Iterator[Script]:
    """The vendor of a recording at `script.url`; what is asked of it stands in `script.asked`."""
    with serving(recording.script()) as script:
        yield script
