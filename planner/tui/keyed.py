"""Sentences of the core on a screen: the flag that settles something becomes the key that does.

The core names flags because a script has nothing else. Wording every sentence twice was rejected:
the two would come to differ; what no key does keeps its flag.
"""

from __future__ import annotations

import re

KEYS = tuple(
    (re.compile(flag), key)
    for flag, key in (
        (
            r"(?:plan again with|give) --output-tokens or --output-sample(?:, or \w+ --\S+)?",
            "e types answer tokens",
        ),
        (r"--skip-bad-rows( leaves|$)", r"b\1"),
        (r"\(--tier [^)]*\)", "(e: usage tier)"),
        (r"say --tier PROVIDER=(\S+);", r"e: usage tier PROVIDER=\1;"),
        (r"--limit rpm=N \(and ([^)]*)\) settles", r"own limits under e, rpm=N (and \1), settle"),
        (r": --latency$", "; e: answer time"),
        (r"\(--latency\)", "(e: answer time)"),
        (r"\b([Nn])o --prompt is given", r"\1o template is given"),
        (r"name (?:it|one)(?:, for instance|:) --prompt '([^']*)'", r"p types one, such as \1"),
        (r"name it with --model", "e: models"),
        (
            r"name a file, or give --rows and --input-tokens \(and --output-tokens\)",
            "o opens a file; there Esc, then t types figures",
        ),
        (r"--choose (?:OPTION )?takes", "the option under the cursor is taken: choose"),
    )
)
"""What the core says -> what a key does about it."""


def keyed(text: str) -> str:
    """The sentence for somebody who has keys."""
    for flag, key in KEYS:
        text = flag.sub(key, text)
    return text
