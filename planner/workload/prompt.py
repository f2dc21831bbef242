"""From a row to the request that will be sent: templates in, vendor-neutral messages out.

A template is Jinja2, because that is what people's prompt files already are; sandboxed and
strict, because a prompt file is somebody else's program and an undefined column that renders
as nothing is a job priced, and later paid, for the wrong text. `str.format` was rejected: it
trips over every JSON example in a prompt.

How values are written: text as it is; numbers as Python writes them; true, false, lists and
objects as JSON (non-ASCII characters kept); a null is an error, since "None" in a prompt is
never what was meant (`{{ note or "" }}` says what is). The sandbox has no loader, and
nothing random: the same row renders to the same request, today and when it is sent.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from planner.errors import Collector, InputError, Problem, did_you_mean
from planner.workload import media as pictures
from planner.workload.media import Media, UncountableError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from jinja2 import Template as JinjaTemplate
    from jinja2 import nodes
    from jinja2.sandbox import SandboxedEnvironment

    from planner.workload.readers import Row, Rows, Workload

WHOLE_ROW = "row"
"""The name that is the whole row in every template: `{{ row["any name"] }}` reaches columns
whose names are no identifiers. It wins over a column of the same name."""

CLEARLY_LONGER = 2
"""How many times as long as any other column the one text column must be, on average, to be
taken without being named."""

_KEYWORDS = ("and", "else", "if", "in", "is", "loop", "not", "or", "self")
_LITERALS = ("true", "false", "none", "True", "False", "None")
_RESERVED = frozenset({WHOLE_ROW, *_KEYWORDS, *_LITERALS})
_SKIP_HINT = "--skip-bad-rows leaves such rows out and counts them"
_NULL_HINT = 'write {{ note or "" }} where a null means nothing, or --skip-bad-rows'
_MISSING_HINT = 'write {{ note|default("") }} where it may be missing, or --skip-bad-rows'
_SHOWN_TEXT = 120
_SHOWN_COLUMNS = 20


# Tuples, since one is made for every row, and a frozen dataclass takes three times as long.


class Message(NamedTuple):
    """One turn: `role` is system, user, assistant or tool; `media` are its pictures and PDFs."""

    role: str
    content: str
    media: tuple[Media, ...] = ()


class Request(NamedTuple):
    """What is sent for one row, in no vendor's words.

    `tools` (a list of definitions) and `schema` (of the answer) are compact JSON, `forced`
    says that some tool must be called, `max_output_tokens` is the request's own ceiling; only
    ready-made requests bring them.
    """

    messages: tuple[Message, ...]
    tools: str | None = None
    schema: str | None = None
    max_output_tokens: int | None = None
    forced: bool = False

    @property
    def media(self) -> tuple[Media, ...]:
        """The pictures and documents of all messages."""
        return tuple([each for message in self.messages for each in message.media])


@dataclass(frozen=True, slots=True, kw_only=True)
class Definitions:
    """What every request brings beside its messages, as `Request` has it."""

    tools: str | None = None
    schema: str | None = None
    forced: bool = False


NO_DEFINITIONS = Definitions()


class Prompt(Protocol):
    """Whatever makes requests of rows: a template, or a reader of ready-made requests."""

    def check(self, columns: Sequence[str]) -> None:
        """Raise InputError where the rows cannot have what is asked of them."""

    def reads(self, columns: Sequence[str]) -> tuple[str, ...]:
        """Those of the columns that requests are made of: the others need not be read."""

    def render(self, row: Row) -> Request:
        """The request of one row; InputError names the row."""


class Template:
    """A user prompt and perhaps a system prompt, compiled once, rendered for every row."""

    def __init__(
        self,
        prompt: str,
        system: str | None = None,
        *,
        prompt_name: str = "--prompt",
        system_name: str = "--system",
        definitions: Definitions = NO_DEFINITIONS,
    ) -> None:
        environment = _environment()
        self.definitions = definitions
        self.prompt = prompt
        self.system = system
        self._parts = tuple(
            _Part(environment, role, source, name)
            for role, source, name in (
                ("system", system, system_name),
                ("user", prompt, prompt_name),
            )
            if source is not None
        )

    def check(self, columns: Sequence[str]) -> None:
        """Raise InputError naming every column that is asked for and that no row has."""
        collector = Collector()
        for part in self._parts:
            part.check(columns, collector)
        collector.raise_if_any()

    def reads(self, columns: Sequence[str]) -> tuple[str, ...]:
        """The columns that it names; all where it takes the row as a whole."""
        if any(part.takes_row for part in self._parts):
            return tuple(columns)
        named = {name for part in self._parts for name in part.names}
        return tuple(name for name in columns if name in named)

    def render(self, row: Row) -> Request:
        """The request of one row; a system prompt that renders to nothing is left out.

        InputError: a value is missing or null, the template fails, or the prompt is blank
        (vendors refuse that).
        """
        messages = tuple(
            [
                Message(role=part.role, content=text)
                for part in self._parts
                if (text := part.render(row)).strip() or part.role == "user"
            ]
        )
        if not messages[-1].content.strip():
            raise _row_error(row, "empty-prompt", "the prompt comes out empty", _SKIP_HINT)
        own = self.definitions
        return Request(messages=messages, tools=own.tools, schema=own.schema, forced=own.forced)


class _Part:
    """One message's template."""

    def __init__(
        self, environment: SandboxedEnvironment, role: str, source: str, name: str
    ) -> None:
        self.role = role
        self.source = source
        self.name = name
        self.tree, self.compiled = _compiled(environment, source, name)
        self.names = _names(self.tree)
        self.takes_row = _takes_row(self.tree)
        self._inserts = _only_inserts(self.tree)

    def check(self, columns: Sequence[str], collector: Collector) -> None:
        known = set(columns)
        for wrong, line in _wanted(self.tree).items():
            if wrong not in known:
                collector.add(
                    "unknown-column",
                    f"the template asks for `{wrong}`, and the rows have no such column",
                    where=_place(self.name, self.source, line),
                    hint=_columns_hint(wrong, columns),
                )

    def render(self, row: Row) -> str:
        try:
            return self._joined(row) or self.compiled.render({**row.fields, WHOLE_ROW: row.fields})
        except Exception as error:  # noqa: BLE001 - a template is a program, it fails in any way
            raise self._failed(row, error) from None

    def _failed(self, row: Row, error: Exception) -> InputError:
        from jinja2 import UndefinedError

        if isinstance(error, _NullValueError):
            return _row_error(row, "null-value", self._null(row), _NULL_HINT)
        if isinstance(error, UndefinedError):
            return _row_error(row, "missing-value", f"{self.name}: {error.message}", _MISSING_HINT)
        message = f"{self.name} fails: {str(error) or type(error).__name__}"
        return _row_error(row, "template-failed", message, None)

    def _joined(self, row: Row) -> str | None:
        """What the template language would make, in a tenth of its time; None: ask it."""
        if self._inserts is None:
            return None
        fields = row.fields
        try:
            return "".join(
                [str(_written(fields[text])) if column else text for column, text in self._inserts]
            )
        except KeyError:
            return None

    def _null(self, row: Row) -> str:
        asked = [name for name in self.names if row.fields.get(name, "") is None]
        which = " and ".join(f"`{name}`" for name in asked) or "a value"
        return f"{self.name}: {which} is null"


def _row_error(row: Row, code: str, message: str, hint: str | None) -> InputError:
    said = f"row {row.number} makes no request: {message}"
    return InputError(Problem(code=code, message=said, where=f"line {row.line}", hint=hint))


def requests(rows: Rows, prompt: Prompt) -> Iterator[tuple[Row, Request]]:
    """Every row with its request; rows without one stop the pass or are counted as skipped."""
    for row in rows:
        try:
            request = prompt.render(row)
        except InputError as error:
            where = f"{rows.workload.name}:{row.line}"
            rows.withdraw(replace(error.problems[0], where=where))
            continue
        yield row, request


# --- the template language --------------------------------------------------------------


class _NullValueError(Exception):
    """A null reached the text."""


def _environment() -> SandboxedEnvironment:
    from jinja2 import StrictUndefined
    from jinja2.sandbox import SandboxedEnvironment

    environment = SandboxedEnvironment(
        undefined=StrictUndefined, autoescape=False, finalize=_written
    )
    environment.filters["tojson"] = _as_json  # Jinja's own writes < and & as escapes, for HTML
    del environment.filters["random"], environment.globals["lipsum"]
    return environment


def _written(value: Any) -> Any:
    """The value as it appears in the prompt."""
    if isinstance(value, str):
        return value
    if value is None:
        raise _NullValueError
    return _as_json(value) if isinstance(value, bool | list | dict) else value


def _as_json(value: object, indent: int | None = None) -> str:
    return json.dumps(value, ensure_ascii=False, indent=indent)


def _compiled(
    environment: SandboxedEnvironment, source: str, name: str
) -> tuple[nodes.Template, JinjaTemplate]:
    from jinja2 import TemplateSyntaxError

    try:
        return environment.parse(source), environment.from_string(source)
    except TemplateSyntaxError as error:
        message = error.message or "it cannot be read"
        raise InputError.of(
            "template-syntax",
            f"the template is not Jinja2: {message[:1].lower()}{message[1:].rstrip('.')}",
            where=_place(name, source, error.lineno),
            hint="{{ column }} inserts a value; {% raw %} ... {% endraw %} keeps braces as text",
        ) from None


def _only_inserts(tree: nodes.Template) -> tuple[tuple[bool, str], ...] | None:
    """(is it a column, its name or the text) of a template that does no more; else None."""
    from jinja2 import nodes

    found: list[tuple[bool, str]] = []
    for output in tree.body:
        if not isinstance(output, nodes.Output):
            return None
        for node in output.nodes:
            if isinstance(node, nodes.TemplateData):
                found.append((False, node.data))
            elif isinstance(node, nodes.Name) and node.name != WHOLE_ROW:
                found.append((True, node.name))
            else:
                return None
    return tuple(found)


def _place(name: str, source: str, line: int) -> str:
    """File (or flag), line and the line's text, cut to what a terminal shows."""
    lines = source.splitlines()
    text = lines[line - 1].strip() if 0 < line <= len(lines) else ""
    shown = text if len(text) <= _SHOWN_TEXT else f"{text[:_SHOWN_TEXT]}..."
    return f"{name}:{line}: {shown}"


def _columns_hint(wrong: str, columns: Sequence[str]) -> str:
    shown = ", ".join(columns[:_SHOWN_COLUMNS])
    more = len(columns) - _SHOWN_COLUMNS
    listed = f"columns: {shown}" + (f" and {more} more" if more > 0 else "")
    guess = did_you_mean(wrong, columns)
    return f"{guess} {listed}" if guess else listed


def _wanted(tree: nodes.Template) -> dict[str, int]:
    """Columns that the template cannot do without, each with its first line.

    Names it tests (`note is defined`) or defaults (`note|default("")`) may be missing.
    """
    optional = _optional(tree)
    return {name: line for name, line in _names(tree).items() if name not in optional}


def _names(tree: nodes.Template) -> dict[str, int]:
    """Columns asked for, by name or as `row["name"]`, each with the first line that does."""
    from jinja2 import meta, nodes

    free = meta.find_undeclared_variables(tree) - {WHOLE_ROW, *_environment().globals}
    found = [(n.name, n.lineno) for n in tree.find_all(nodes.Name) if n.name in free]
    found += [(key, n.lineno) for n in tree.find_all((nodes.Getitem, nodes.Getattr))
              if (key := _row_key(n)) is not None]  # fmt: skip
    first: dict[str, int] = {}
    for name, line in sorted(found, key=lambda pair: pair[1]):
        first.setdefault(name, line)
    return first


def _takes_row(tree: nodes.Template) -> bool:
    """Whether the row is asked for in another way than by a column's name."""
    from jinja2 import nodes

    uses = [node for node in tree.find_all(nodes.Name) if node.name == WHOLE_ROW]
    keyed = [
        node for node in tree.find_all((nodes.Getitem, nodes.Getattr)) if _row_key(node) is not None
    ]
    return len(uses) > len(keyed)


def _row_key(node: nodes.Node) -> str | None:
    """The key in `row["key"]` or `row.key`; None for anything else, `row.items()` included."""
    from jinja2 import nodes

    if not isinstance(node, nodes.Getitem | nodes.Getattr):
        return None
    if not (isinstance(node.node, nodes.Name) and node.node.name == WHOLE_ROW):
        return None
    if isinstance(node, nodes.Getattr):
        return None if hasattr(dict, node.attr) else node.attr
    key = node.arg.value if isinstance(node.arg, nodes.Const) else None
    return key if isinstance(key, str) else None


def _optional(tree: nodes.Template) -> set[str]:
    from jinja2 import nodes

    guarded = [t.node for t in tree.find_all(nodes.Test) if t.name in {"defined", "undefined"}]
    guarded += [
        f.node for f in tree.find_all(nodes.Filter) if f.name in {"default", "d"} and f.node
    ]
    return {name for node in guarded if (name := _column_of(node)) is not None}


def _column_of(node: nodes.Node) -> str | None:
    from jinja2 import nodes

    return node.name if isinstance(node, nodes.Name) else _row_key(node)


# --- without a template -----------------------------------------------------------------


def default_template(
    columns: Sequence[str],
    sample: Sequence[Row],
    system: str | None = None,
    definitions: Definitions = NO_DEFINITIONS,
) -> tuple[Template, str]:
    """The one text-like column as the whole prompt, and the sentence that says so.

    Text-like: text with a space in it or beyond ASCII somewhere in the sample, which
    identifiers, labels and numbers have not. The longest such column is taken if it is the
    only one or at least CLEARLY_LONGER times as long as the next on average; otherwise
    InputError lists what there is, because a guess here is a price for another job.
    """
    lengths = _mean_lengths(columns, sample)
    if not lengths:
        raise InputError.of(
            "no-text-column",
            "no --prompt is given, and no column of the rows is text",
            hint=f"name one: --prompt '{insertion(columns[0])}'; columns: {', '.join(columns)}",
        )
    best, *others = sorted(lengths, key=lambda name: -lengths[name])
    if others and lengths[best] < CLEARLY_LONGER * lengths[others[0]]:
        raise InputError.of(
            "which-column",
            f"no --prompt is given, and more than one column may be it: {_listed(lengths)}",
            hint=f"name it, for instance --prompt '{insertion(next(iter(lengths)))}'",
        )
    rest = {name: lengths[name] for name in others}
    beside = f"; the other text columns: {_listed(rest)}" if rest else ""
    said = f"No --prompt is given: each row is sent as its column {_listed({best: lengths[best]})}"
    return Template(insertion(best), system, definitions=definitions), f"{said}{beside}."


def _mean_lengths(columns: Sequence[str], sample: Sequence[Row]) -> dict[str, int]:
    """Mean characters of every text-like column, or of every text column where none is."""
    texts = {name: [row.fields.get(name) for row in sample] for name in columns}
    present = {name: [v for v in values if v is not None] for name, values in texts.items()}
    strings = {
        name: [str(v) for v in values]
        for name, values in present.items()
        if values and all(isinstance(v, str) for v in values)
    }
    like = {name: v for name, v in strings.items() if any(map(_is_prose, v))} or strings
    means = {name: sum(map(len, v)) // len(v) for name, v in like.items()}
    return {name: mean for name, mean in means.items() if mean > 0}


def _is_prose(text: str) -> bool:
    return " " in text.strip() or not text.isascii()


def _listed(lengths: Mapping[str, int]) -> str:
    return ", ".join(f"`{name}` (mean {mean:,} characters)" for name, mean in lengths.items())


def insertion(column: str) -> str:
    """The template that inserts one column."""
    if column.isidentifier() and column not in _RESERVED:
        return f"{{{{ {column} }}}}"
    return f"{{{{ {WHOLE_ROW}[{_as_json(column)}] }}}}"


# --- rows that are requests already -----------------------------------------------------


def _nothing_refused(_: Media) -> None:
    return None


class ReadyMade:
    """Requests that the rows bring with them: chats, and request files made for a batch lane.

    They are told apart by their shape, not by whose they are. `answers` says whether a last
    assistant turn is an answer (a chat that was had: an output sample, never input) or a
    beginning that is sent along (a request file). `uncountable` refuses what no counter can
    count, so that no row is counted as less than it is.
    """

    def __init__(
        self, *, answers: bool, uncountable: Callable[[Media], str | None] = _nothing_refused
    ) -> None:
        self.answers = answers
        self.uncountable = uncountable

    def check(self, columns: Sequence[str]) -> None:
        """Nothing to check before the rows: each is judged by itself."""

    def reads(self, columns: Sequence[str]) -> tuple[str, ...]:
        """All: a request may stand in any of them."""
        return tuple(columns)

    def render(self, row: Row) -> Request:
        """The request in the row; InputError where it holds none, or what nobody can count."""
        try:
            made = self._request(_payload(row.fields))
        except _NoRequestError as error:
            raise _row_error(row, "not-a-request", str(error), _SKIP_HINT) from None
        except UncountableError as error:
            raise _row_error(row, "uncountable", str(error), _SKIP_HINT) from None
        for each in made.media:
            reason = self.uncountable(each)
            if reason is not None:
                raise _row_error(row, "uncountable", reason, _SKIP_HINT)
        return made

    def answer(self, row: Row) -> str | None:
        """The text of the answer that a chat ends with, or None."""
        turns = _payload(row.fields).get("messages")
        last = turns[-1] if self.answers and isinstance(turns, list) and turns else None
        if not (isinstance(last, dict) and last.get("role") == "assistant"):
            return None
        return _turn(last).content

    def _request(self, payload: Mapping[str, Any]) -> Request:
        turns = _turns(payload)
        if self.answers and turns[-1].role == "assistant":
            turns = turns[:-1]
        messages = _system(payload) + turns
        if not any(message.role != "system" for message in messages):
            raise _NoRequestError("nobody asks anything in it")
        own = definitions(payload)
        return Request(
            messages=messages,
            tools=own.tools,
            schema=own.schema,
            max_output_tokens=_ceiling(payload),
            forced=own.forced,
        )


def definitions(payload: Mapping[str, Any], schema: object = None) -> Definitions:
    """The tools and the schema of the answer in a request's parameters, whoever's they are.

    `schema` is one that is given beside them.
    """
    tools = _first(payload, "tools", "functions")
    return Definitions(
        tools=_compact(tools) if tools else None,
        schema=_schema(payload) if schema is None else _compact(schema),
        forced=_is_forced(payload.get("tool_choice")),
    )


class _NoRequestError(Exception):
    """The row holds no request that can be counted."""


def _payload(fields: Mapping[str, object]) -> Mapping[str, Any]:
    inner = _first(fields, "body", "params")
    return inner if isinstance(inner, dict) else fields


def _first(payload: Mapping[str, object], *keys: str) -> Any:
    return next((payload[key] for key in keys if payload.get(key) is not None), None)


def _compact(value: object) -> str | None:
    if value is None:
        return None
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=float)


_WRAPPINGS = ("format", "json_schema", "schema")
"""Keys under which a request wraps the schema that its answer has to follow."""


def _schema(payload: Mapping[str, object]) -> str | None:
    """The schema of the answer, out of its wrapping; None where any text or JSON will do."""
    found = _first(payload, "response_format", "output_format", "output_config", "text")
    wrapped = ""
    while isinstance(found, dict):
        key = next((key for key in _WRAPPINGS if isinstance(found.get(key), dict)), None)
        if key is None:
            break
        wrapped, found = key, found[key]
    return _compact(found) if wrapped == "schema" else None


def _is_forced(choice: object) -> bool:
    """Whether the model must call a tool."""
    kind = choice.get("type") if isinstance(choice, dict) else choice
    return kind in ("any", "required", "tool", "function", "custom")


def _ceiling(payload: Mapping[str, object]) -> int | None:
    value = _first(payload, "max_tokens", "max_completion_tokens", "max_output_tokens")
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _system(payload: Mapping[str, object]) -> tuple[Message, ...]:
    said = _first(payload, "system", "instructions")
    text, media = _content(said)
    return (Message(role="system", content=text, media=media),) if text or media else ()


def _turns(payload: Mapping[str, object]) -> tuple[Message, ...]:
    turns = _first(payload, "messages", "input")
    if isinstance(turns, str) and turns:
        return (Message(role="user", content=turns),)
    if not isinstance(turns, list) or not turns:
        raise _NoRequestError("it has neither `messages` nor `input`")
    return tuple(map(_turn, turns))


_SYSTEM_ROLES = ("system", "developer")
_OWN_WORDS = frozenset(
    {"id", "call_id", "tool_call_id", "tool_use_id", "type", "status", "role", "cache_control"}
)
"""Keys of a call or a result that only tie it to another: the model is not shown them."""


def _turn(turn: object) -> Message:
    if not isinstance(turn, dict):
        raise _NoRequestError("a message is not an object")
    role = turn.get("role", "tool")
    if not isinstance(role, str):
        raise _NoRequestError("a message's role is not text")
    role = "system" if role in _SYSTEM_ROLES else role
    if "content" not in turn and not _called(turn):
        return Message(role=role, content=_call(turn))
    text, media = _content(turn.get("content"))
    return Message(role=role, content="".join((text, *_called(turn))), media=media)


def _called(turn: Mapping[str, Any]) -> tuple[str, ...]:
    """The tool calls that a turn of the model makes."""
    calls = _first(turn, "tool_calls", "function_call") or []
    return tuple(_call(call) for call in (calls if isinstance(calls, list) else [calls]))


def _call(call: object) -> str:
    """A call or its result as the model sees it: what is said, without what ties it to others."""
    if not isinstance(call, dict):
        raise _NoRequestError("a tool call is not an object")
    inner = call.get("function")
    said = inner if isinstance(inner, dict) else call
    return _compact({key: value for key, value in said.items() if key not in _OWN_WORDS}) or ""


def _content(content: object) -> tuple[str, tuple[Media, ...]]:
    """A message's content as text (a string, or the text parts it is made of) and media."""
    if content is None:
        return "", ()
    if isinstance(content, str):
        return content, ()
    if not isinstance(content, list):
        raise _NoRequestError("a message's content is neither text nor a list of parts")
    texts: list[str] = []
    media: list[Media] = []
    for part in content:
        text, more = _part(part)
        texts += [] if text is None else [text]
        media += more
    return "\n".join(texts), tuple(media)


def _part(part: object) -> tuple[str | None, tuple[Media, ...]]:
    if isinstance(part, str):
        return part, ()
    if not isinstance(part, dict):
        raise _NoRequestError("a part of a message is neither text nor an object")
    text = _first(part, "text", "refusal", "thinking")
    if isinstance(text, str):
        return text, ()
    kind, source = part.get("type"), part.get("source")
    if kind == "tool_result":
        return _content(part.get("content"))
    if kind == "tool_use":
        return _call(part), ()
    if kind == "document" and isinstance(source, dict) and source.get("type") in _WRITTEN:
        return _content(_first(source, "data", "content"))
    seen = pictures.of_part(part)
    if seen is None:
        raise _NoRequestError(f"a part of type {part.get('type', 'unknown')} is not text")
    return None, (seen,)


_WRITTEN = ("text", "content")
"""Sources of a document that is text after all."""


# --- the choice -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """How this workload's rows become requests, checked against its first rows.

    `said` is a sentence for the user where something was chosen without being named.
    """

    prompt: Prompt
    columns: tuple[str, ...]
    said: str | None = None


def choose(
    workload: Workload,
    *,
    prompt: str | None = None,
    system: str | None = None,
    prompt_name: str = "--prompt",
    system_name: str = "--system",
    skip_bad: bool = False,
    uncountable: Callable[[Media], str | None] = _nothing_refused,
    definitions: Definitions = NO_DEFINITIONS,
) -> Chosen:
    """The template that is given, the requests the rows bring, or the one text column.

    Everything that can be known before the pass fails here: syntax, unknown columns, and
    (unless bad rows are skipped) the first row's request. `uncountable` says why a picture or
    document cannot be counted; rows with such a one are refused.
    """
    sample = workload.head(skip_bad=skip_bad)
    columns = workload.columns(sample)
    said = None
    chosen: Prompt
    if prompt is not None:
        chosen = Template(
            prompt,
            system,
            prompt_name=prompt_name,
            system_name=system_name,
            definitions=definitions,
        )
    elif workload.format in READY_MADE:
        chosen, said = _ready_made(workload.format, system, system_name, uncountable)
    else:
        chosen, said = default_template(columns, sample, system, definitions)
    chosen.check(columns)
    if not skip_bad:
        next(requests(workload.rows(), chosen))
    return Chosen(prompt=chosen, columns=columns, said=said)


READY_MADE = {
    "chat": (True, "a last assistant turn counts as an answer, not as input"),
    "batch": (False, "model and endpoint in the file are not looked at"),
}
"""Formats whose rows are requests: whether they end in answers, and what is said of them."""


def _ready_made(
    format: str,
    system: str | None,
    system_name: str,
    uncountable: Callable[[Media], str | None],
) -> tuple[ReadyMade, str]:
    answers, said = READY_MADE[format]
    if system is not None:
        raise InputError.of(
            "system-twice",
            f"{system_name} is given, and the rows bring their own messages ({format} format)",
            hint="leave it out, or give a --prompt too, which takes the rows as mere columns",
        )
    made = ReadyMade(answers=answers, uncountable=uncountable)
    return made, f"The rows are requests already ({format} format): {said}."
