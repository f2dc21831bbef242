"""The other end of `reconstruction`: one plugin's function over some texts, in its own process.

Run by path, and imports nothing of planner: what a plugin does to this process stays here.
"""

from __future__ import annotations

import json
import os
import sys
from importlib.metadata import EntryPoint
from typing import Any


def main() -> None:
    """Read what is asked as JSON, answer as JSON; whatever the plugin prints is no answer."""
    asked = json.loads(sys.stdin.buffer.read())
    with os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="ascii") as answers:
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
        answers.write(json.dumps(_answer(asked)))


def _answer(asked: dict[str, Any]) -> dict[str, Any]:
    sys.path[:] = asked["path"]
    try:
        count = EntryPoint(name="count", group="", value=asked["value"]).load()
        counts = [count(text) for text in asked["texts"]]
        return json.loads(json.dumps({"counts": counts}))  # type: ignore[no-any-return]
    except BaseException as error:  # noqa: BLE001 -- a plugin may raise SystemExit as well
        return {"raised": type(error).__name__, "detail": str(error)}


if __name__ == "__main__":
    main()
