"""Rows -> the vendor's own batch files, streamed: exact bytes to send, and what is in them.

One pass, one row in memory at a time. A row is rendered, put into the vendor's words by its
adapter, checked against the lane's refusals and the vendor's own types as the very bytes that
will be sent, and appended to the shard that still has room. Building a list of requests and
handing it to a vendor's library was rejected: it takes gigabytes for what one pass does in
megabytes, and what is sent could not be compared with what was checked.

The output folder appears whole or not at all, and the same plan gives the same bytes.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol, cast

from planner.errors import InputError, Problem, did_you_mean
from planner.handoff import plan as plans
from planner.workload import prompt as prompts
from planner.workload import tokens
from planner.workload.media import UncountableError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from planner.workload.prompt import Prompt, Request
    from planner.workload.readers import Row, Rows, Workload

MANIFEST = "manifest.jsonl"
ROWS = "rows.jsonl"
PLAN = "job.plan.yaml"
SHARDS = "shards"
REUSED = "reused.jsonl"
"""Rows whose answers are here already: each with its answer, and in no shard."""
OURS = frozenset({MANIFEST, ROWS, PLAN, SHARDS, REUSED})
"""All that an output folder holds; anything else in it is somebody else's."""

CUSTOM_ID = re.compile(r"[a-zA-Z0-9_-]{1,64}")

MARGIN = 50
"""One part in so many of a byte limit stays free: vendors do not say how they count."""

PROGRESS_EVERY = 256
_BUFFER = 1024 * 1024


Known = Callable[[bytes], "Mapping[str, Any] | None"]
"""The answer that a request has already, as the lines of `REUSED` hold it; None: it has none."""


class UnsendableError(Exception):
    """A row cannot be put into the vendor's words; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """What every request has in common, in no vendor's words."""

    model: str
    endpoint: str
    max_output_tokens: int
    schema: Mapping[str, Any] | None = None
    params: Mapping[str, Any] = field(default_factory=dict)
    region: str | None = None
    """Where rows are to be processed; None: anywhere."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """How the rows of a shard stand together in one file."""

    suffix: str
    opening: bytes
    between: bytes
    closing: bytes


class Adapter(Protocol):
    """One vendor's words for a batch: everything that differs between vendors when building."""

    @property
    def endpoints(self) -> tuple[str, ...]:
        """The endpoints whose requests it builds, the default first."""

    @property
    def envelope(self) -> str:
        """The key under which a ready-made row carries this vendor's request."""

    @property
    def frame(self) -> Frame:
        """How rows stand together in a file."""

    def own_keys(self, endpoint: str) -> frozenset[str]:
        """Parameters that planner sets itself."""

    def common(self, spec: Spec) -> dict[str, Any]:
        """The part of a request's body that is the same in every row."""

    def turns(self, request: Request, endpoint: str) -> dict[str, Any]:
        """The part that a row's messages make; UnsendableError."""

    def line(self, custom_id: str, endpoint: str, body: bytes) -> bytes:
        """A row as it stands in the file; `body` is JSON already."""

    def checker(self, endpoint: str) -> Callable[[bytes], str | None]:
        """Says what is wrong with a body by the vendor's own types; None: nothing is."""

    def priced(self, region: str | None) -> Mapping[str, tuple[object, ...]]:
        """Keys that change what a request costs, or where: values that a plan's rates are for.

        The first is what a request gets that says nothing; None: it goes without.
        """

    def beyond(self, body: Mapping[str, Any], endpoint: str) -> str | None:
        """What of a request may cost more than its tokens at their rates; None: nothing does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The most that one shard may hold; None: no limit is known."""

    rows: int | None = None
    bytes: int | None = None
    row_bytes: int | None = None
    tokens: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """Everything that decides the bytes, besides the rows."""

    plan: str
    nonce: str
    spec: Spec
    limits: Limits
    refuses: tuple[str, ...] = ()
    key: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Shard:
    """One file of the vendor's, as the manifest lists it."""

    shard: int
    file: str
    rows: int
    first: int
    bytes: int
    sha256: str
    estimated_input_tokens: int

    def as_json(self, plan: str) -> str:
        """Its line of the manifest."""
        return json.dumps({"plan": plan, **asdict(self)})


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """What stands in the output folder."""

    folder: Path
    shards: tuple[Shard, ...]
    skipped: int = 0
    problems: tuple[Problem, ...] = ()
    """The first rows that were left out, with their reasons."""
    reused: int = 0
    """Rows that are not sent, since their very request was answered before."""
    already: bool = False
    """It stood there before, built from the same plan; nothing was written."""

    @property
    def rows(self) -> int:
        """Rows in all shards."""
        return sum(shard.rows for shard in self.shards)

    @property
    def bytes(self) -> int:
        """Bytes of all shards."""
        return sum(shard.bytes for shard in self.shards)

    @property
    def tokens(self) -> int:
        """Estimated prompt tokens of all shards."""
        return sum(shard.estimated_input_tokens for shard in self.shards)


# --- one row ----------------------------------------------------------------------------


class Rower:
    """Makes the bytes of one row: rendered, in the vendor's words, checked."""

    def __init__(self, recipe: Recipe, adapter: Adapter, *, ready_made: bool) -> None:
        self.recipe = recipe
        self.adapter = adapter
        self.endpoint = recipe.spec.endpoint
        self.ready_made = ready_made
        self.priced = adapter.priced(recipe.spec.region)
        placed = {key: each[0] for key, each in self.priced.items() if each[0] is not None}
        self.common = placed | _plain(adapter.common(recipe.spec))
        self.check = adapter.checker(self.endpoint)
        self.refusals = tuple(_Refusal.read(each) for each in recipe.refuses)

    def check_common(self) -> None:
        """InputError where what every request has in common is wrong, before any row is."""
        stand_in = prompts.Request(messages=(prompts.Message(role="user", content="x"),))
        try:
            self._checked({**self.common, **self.adapter.turns(stand_in, self.endpoint)})
        except UnsendableError as error:
            raise InputError.of(
                "bad-request",
                f"no row can be sent with these parameters: {error}",
                hint="--param and --json-schema say what goes into each request",
            ) from None

    def body(self, row: Row, request: Request) -> bytes:
        """The row's request as it is sent; UnsendableError says why there is none."""
        return self._checked(self._body(row, request))

    def line(self, index: int, raw: bytes) -> bytes:
        """A request as it stands in a file."""
        custom_id = f"{self.recipe.nonce}-{index}"
        assert CUSTOM_ID.fullmatch(custom_id), custom_id
        return self.adapter.line(custom_id, self.endpoint, raw)

    def _checked(self, body: Mapping[str, Any]) -> bytes:
        """The body as the bytes that will be sent, if lane and vendor would take them."""
        for refusal in self.refusals:
            if refusal.hit(body):
                raise UnsendableError(f"the lane refuses {refusal.said}")
        for key, values in self.priced.items():
            if body.get(key) not in values:
                raise UnsendableError(f"the plan's prices are for no {key} of {body.get(key)!r}")
        beyond = self.adapter.beyond(body, self.endpoint)
        if beyond is not None:
            raise UnsendableError(beyond)
        raw = _json(body)
        wrong = self.check(raw)
        if wrong is not None:
            raise UnsendableError(wrong)
        return raw

    def _body(self, row: Row, request: Request) -> dict[str, Any]:
        if not self.ready_made:
            return {**self.common, **self.adapter.turns(request, self.endpoint)}
        own = row.fields.get(self.adapter.envelope)
        if "custom_id" in row.fields:
            return self._own(row, own)
        _text_only(row, request)
        return {**self.common, **self.adapter.turns(request, self.endpoint)}

    def _own(self, row: Row, own: object) -> dict[str, Any]:
        """A request that was made for this vendor goes as it is, with the plan's model."""
        if not isinstance(own, dict):
            raise UnsendableError(f"it is a request made for another vendor ({_envelope(row)})")
        url = row.fields.get("url")
        if url is not None and url != self.endpoint:
            raise UnsendableError(f"it is for {url}, not {self.endpoint}: say --endpoint {url}")
        limited = self.recipe.spec.max_output_tokens
        asked = prompts.ReadyMade(answers=False).render(row).max_output_tokens
        if asked is not None and asked > limited:
            raise UnsendableError(f"it asks for {asked:,} output tokens, the plan has {limited:,}")
        ours = self.adapter.own_keys(self.endpoint) if asked is not None else frozenset()
        kept = {key: each for key, each in self.common.items() if key not in ours}
        return {**kept, **own, "model": self.recipe.spec.model}


_TURN_KEYS = frozenset({"role", "content"})


def _text_only(row: Row, request: Request) -> None:
    """A chat whose parts would be lost or change their meaning on the way is refused."""
    more = sorted({str(key) for key in row.fields} & _MEANINGFUL)
    if more:
        raise UnsendableError(f"it brings its own {', '.join(more)}: give them with --param")
    if not isinstance(row.fields.get("system", ""), str):
        raise UnsendableError("its system prompt is more than text")
    turns = cast("Sequence[Mapping[str, object]]", row.fields.get("messages", ()))
    for turn in turns:
        if not isinstance(turn.get("content"), str) or set(turn) - {"name"} > _TURN_KEYS:
            raise UnsendableError("a message of it is more than text")
    if request.media:
        raise UnsendableError("it holds pictures or documents")


_MEANINGFUL = frozenset({"tools", "functions", "response_format", "tool_choice"})


def _envelope(row: Row) -> str:
    return ", ".join(str(key) for key in row.fields if key != "custom_id")


def _json(value: object) -> bytes:
    """Compact JSON in UTF-8; UnsendableError for half a character."""
    try:
        made = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
        return made.encode("utf-8")
    except UnicodeEncodeError as error:
        code = ord(error.object[error.start])
        raise UnsendableError(
            f"it has a lone surrogate (U+{code:04X}), half a character that UTF-8 cannot hold"
        ) from None


def _plain(value: Any) -> Any:
    """Decimals of a plan as JSON numbers."""
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return float(value) if isinstance(value, Decimal) else value


@dataclass(frozen=True, slots=True)
class _Refusal:
    """`key` (refused where it is set) or `key: value`; other wordings are for people."""

    said: str
    key: str
    value: Any = None

    @classmethod
    def read(cls, said: str) -> _Refusal:
        key, colon, value = said.partition(": ")
        return cls(said, key, json.loads(value) if colon and value else None)

    def hit(self, body: Mapping[str, Any]) -> bool:
        there = body.get(self.key)
        if self.value is not None:
            return there == self.value and type(there) is type(self.value)
        return there is not None and there is not False


def check_spec(spec: Spec, adapter: Adapter) -> None:
    """Refuse an endpoint that the adapter lacks and parameters that nobody may give."""
    if spec.endpoint not in adapter.endpoints:
        known = ", ".join(adapter.endpoints)
        hint = did_you_mean(spec.endpoint, adapter.endpoints) or f"endpoints: {known}"
        raise InputError.of("unknown-endpoint", f"no requests for {spec.endpoint}", hint=hint)
    twice = sorted(adapter.own_keys(spec.endpoint) & set(spec.params))
    if twice:
        raise InputError.of(
            "own-parameter",
            f"--param {' '.join(twice)}: planner sets that itself",
            hint="--model, --prompt, --system and --max-output-tokens say it",
        )
    beyond = adapter.beyond(_plain(dict(spec.params)), spec.endpoint)
    if beyond is not None:
        raise InputError.of(
            "unbounded-parameter",
            f"--param {beyond}",
            hint="a plan's ceiling would not hold, so planner sends no such request; leave it out",
        )


# --- shards -----------------------------------------------------------------------------


class _Shards:
    """The shard that is being written and those that are done."""

    def __init__(self, folder: Path, recipe: Recipe, frame: Frame) -> None:
        self.folder = folder
        self.recipe = recipe
        self.frame = frame
        self.limits = recipe.limits
        self.done: list[Shard] = []
        self.stream: BinaryIO | None = None

    def add(self, index: int, line: bytes, tokens_high: int, tokens_mid: int) -> None:
        """Append a row to the open shard, or to a new one where that is full."""
        self._check(line, tokens_high)
        if self.stream is not None and self._full(line, tokens_high):
            self.close()
        if self.stream is None:
            self._open(index)
        else:
            self._write(self.frame.between)
        self._write(line)
        self.rows += 1
        self.tokens_high += tokens_high
        self.tokens_mid += tokens_mid

    def _check(self, line: bytes, tokens_high: int) -> None:
        """Refuse a row that no shard could hold."""
        most = self._most_bytes()
        alone = len(line) + len(self.frame.opening) + len(self.frame.closing)
        row_most = _less_margin(self.limits.row_bytes)
        if (most is not None and alone > most) or (row_most is not None and len(line) > row_most):
            allowed = min(each for each in (most, row_most) if each is not None)
            raise UnsendableError(f"it takes {len(line):,} bytes, a batch holds {allowed:,}")
        queue = self.limits.tokens
        if queue is not None and tokens_high > queue:
            raise UnsendableError(f"it may take {tokens_high:,} tokens, the queue holds {queue:,}")

    def _full(self, line: bytes, tokens_high: int) -> bool:
        limits, most = self.limits, self._most_bytes()
        size = self.bytes + len(self.frame.between) + len(line) + len(self.frame.closing)
        return (
            (limits.rows is not None and self.rows + 1 > limits.rows)
            or (most is not None and size > most)
            or (limits.tokens is not None and self.tokens_high + tokens_high > limits.tokens)
        )

    def _most_bytes(self) -> int | None:
        return _less_margin(self.limits.bytes)

    def _open(self, index: int) -> None:
        self.number = len(self.done) + 1
        self.name = f"{SHARDS}/{self.number:05d}{self.frame.suffix}"
        self.first, self.rows, self.bytes = index, 0, 0
        self.tokens_high = self.tokens_mid = 0
        self.hash = hashlib.sha256()
        self.stream = _private(self.folder / self.name)
        self._write(self.frame.opening)

    def _write(self, raw: bytes) -> None:
        assert self.stream is not None
        self.stream.write(raw)
        self.hash.update(raw)
        self.bytes += len(raw)

    def close(self) -> None:
        """Finish the open shard, down to the disk."""
        if self.stream is None:
            return
        self._write(self.frame.closing)
        _settled(self.stream)
        self.stream = None
        self.done.append(
            Shard(
                shard=self.number,
                file=self.name,
                rows=self.rows,
                first=self.first,
                bytes=self.bytes,
                sha256=self.hash.hexdigest(),
                estimated_input_tokens=self.tokens_mid,
            )
        )

    def abandon(self) -> None:
        """Let go of a shard that will not be finished."""
        if self.stream is not None:
            self.stream.close()


def _less_margin(limit: int | None) -> int | None:
    return None if limit is None else limit - limit // MARGIN


def _private(path: Path) -> BinaryIO:
    """A new file that only its owner may read."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    return open(descriptor, "wb", buffering=_BUFFER)  # noqa: PTH123 -- pathlib opens no descriptor


def _settled(stream: BinaryIO) -> None:
    stream.flush()
    os.fsync(stream.fileno())
    stream.close()


class Estimator:
    """Prompt tokens of single rows; the band comes from the first rows of the job."""

    def __init__(self, counter: tokens.Counter, first: Iterable[Request]) -> None:
        self.counter = counter
        self.tally = tokens.Tally(counter.encoding)
        for request in first:
            self.tally.add(request)
        self.band = counter.band_of(self.tally)

    def tokens(self, request: Request) -> tuple[int, int]:
        """Expected and upper size of a row; UnsendableError where nobody can count it."""
        try:
            shape = self.tally.add(request)
            _, mid, high = self.counter.prompt_tokens(shape, self.band)
        except UncountableError as error:
            raise UnsendableError(str(error)) from None
        return mid, high


# --- the folder -------------------------------------------------------------------------


def build(
    rows: Rows,
    prompt: Prompt,
    rower: Rower,
    estimator: Estimator,
    folder: Path,
    *,
    plan: plans.Plan,
    progress: Callable[[int, int], None] | None = None,
    known: Known | None = None,
) -> Built:
    """Write plan, shards, manifest and row keys into `folder`, in place of what `free` allowed.

    A row whose request is `known` to have an answer goes with it into a file of its own.

    InputError names the row that cannot be sent, unless the rows skip bad ones; what stood
    there then stays.
    """
    part = folder.with_name(f"{folder.name}.part")
    _discard(part)
    try:
        (part / SHARDS).mkdir(parents=True, mode=0o700)
        shards, reused = _fill(part, rows, prompt, rower, estimator, progress, known)
        plans.unmoved(plan, rows.workload.path)
        here = plans.placed(plan, rows.workload.path, folder)
        plans.durably(part / PLAN, plans.raw(here))
        for each in (part / SHARDS, part):
            plans.sync_folder(each)
        _swap(part, folder)
    except OSError as error:
        raise InputError.of("cannot-write", f"{folder}: {error.strerror}") from None
    finally:
        _discard(part)
    return Built(
        folder=folder,
        shards=shards,
        skipped=rows.bad,
        problems=tuple(rows.problems),
        reused=reused,
    )


def _fill(
    part: Path,
    rows: Rows,
    prompt: Prompt,
    rower: Rower,
    estimator: Estimator,
    progress: Callable[[int, int], None] | None,
    known: Known | None,
) -> tuple[tuple[Shard, ...], int]:
    shards = _Shards(part, rower.recipe, rower.adapter.frame)
    keys = _private(part / ROWS)
    answers: list[bytes] = []
    index = 0
    try:
        for row, request in prompts.requests(rows, prompt):
            try:
                name = _key(row, rower.recipe.key)
                body = rower.body(row, request)
                answer = None if known is None else known(body)
                if answer is not None:
                    answers.append(_json({"row": row.number, "key": name, **answer}) + b"\n")
                    continue
                mid, high = estimator.tokens(request)
                shards.add(index, rower.line(index, body), high, mid)
                listed = {"index": index, "row": row.number, "key": name, "tokens": mid}
                keys.write(_json(listed) + b"\n")
            except UnsendableError as error:
                rows.withdraw(_refused(row, rows.workload, str(error)))
                continue
            index += 1
            if progress is not None and index % PROGRESS_EVERY == 0:
                progress(rows.good, rows.bytes_read)
        shards.close()
        _settled(keys)
    finally:
        shards.abandon()
        keys.close()
    plan = rower.recipe.plan
    manifest = "".join(f"{each.as_json(plan)}\n" for each in shards.done)
    plans.durably(part / MANIFEST, manifest.encode())
    if answers:
        plans.durably(part / REUSED, b"".join(answers))
    return tuple(shards.done), len(answers)


def _key(row: Row, key: str | None) -> object:
    """The user's own name of a row: its key column, else its number."""
    if key is None:
        return row.number
    if row.fields.get(key) is None:
        raise UnsendableError(f"it has no value in the key column `{key}`")
    return row.fields[key]


def _refused(row: Row, workload: Workload, reason: str) -> Problem:
    return Problem(
        code="unsendable-row",
        message=f"row {row.number} cannot be sent: {reason}",
        where=f"{workload.name}:{row.line}",
        hint="--skip-bad-rows leaves such rows out and counts them",
    )


def standing(folder: Path, plan: plans.Plan) -> Built | None:
    """What stands in the folder, where it was built from this plan and every file is whole."""
    if not (folder / MANIFEST).is_file() or not (folder / ROWS).is_file():
        return None
    shards = []
    for line in (folder / MANIFEST).read_text(encoding="utf-8").splitlines():
        values = json.loads(line)
        if values.pop("plan") != plan.id:
            return None
        shards.append(Shard(**values))
    whole = all(_sha256(folder / each.file) == each.sha256 for each in shards)
    if not shards or not whole:
        return None
    return Built(folder=folder, shards=tuple(shards), reused=reused(folder), already=True)


def reused(folder: Path) -> int:
    """Rows of a build that were answered before it."""
    path = folder / REUSED
    return path.read_bytes().count(b"\n") if path.is_file() else 0


def _sha256(path: Path) -> str | None:
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError:
        return None


def free(folder: Path, *, force: bool) -> None:
    """InputError where something stands in the folder that a build may not replace."""
    if not folder.exists():
        return
    if not folder.is_dir():
        raise InputError.of("file-exists", f"{folder} is a file, not a folder")
    there = {each.name for each in folder.iterdir()}
    if not there <= OURS:
        names = ", ".join(sorted(there - OURS)[:_SHOWN_NAMES])
        raise InputError.of(
            "folder-in-use", f"{folder} holds other things: {names}", hint="name a new folder"
        )
    if there and not force:
        raise InputError.of(
            "folder-in-use",
            f"{folder} holds another build",
            hint="--force replaces it, or name a new folder",
        )


_SHOWN_NAMES = 5


def _swap(part: Path, folder: Path) -> None:
    """The new folder in place of the old one, which goes last."""
    old = folder.with_name(f"{folder.name}.old")
    _discard(old)
    if folder.exists():
        folder.rename(old)
    part.rename(folder)
    plans.sync_folder(folder.parent)
    _discard(old)


def _discard(folder: Path) -> None:
    if folder.is_dir():
        shutil.rmtree(folder)
