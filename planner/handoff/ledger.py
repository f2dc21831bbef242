"""What was meant, what was done, and what it cost: one SQLite file a user, written before acting.

An intention is committed before the call that carries it out, and every change of an attempt
goes through `states.TABLE` in one transaction with an append-only event. A file a job would need
no database, and could not answer what all jobs together may still cost today.

The rollback journal with synchronous=EXTRA is slower than a write-ahead log by milliseconds a
commit, of which a batch needs six; SQLite up to 3.51.2 can lose commits of a write-ahead log
that two connections share, which is a runner and whoever watches it.

No key and no text of a row ever comes here, nor a vendor's words, which may quote one
(`reasons`): the ledger is kept when a job is purged.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
from dataclasses import asdict, replace
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Self, cast

from planner.errors import InputError
from planner.handoff import home, reasons, records, states
from planner.handoff.records import (
    Attempt,
    Charge,
    Job,
    JobState,
    Leg,
    Line,
    Note,
    Spent,
)
from planner.money import ZERO, Rate, Usd, total

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from planner.decision.turnaround import FinishedJob
    from planner.handoff.build import Shard
    from planner.handoff.plan import Plan
    from planner.handoff.states import Event
    from planner.handoff.vendor import Account

__all__ = [
    "Attempt",
    "Charge",
    "Job",
    "JobState",
    "Ledger",
    "Leg",
    "Line",
    "NoRoomError",
    "Note",
    "Spent",
]

VERSION = 1
_APPLICATION = 0x706C616E
_BUSY_MS = 30_000

_SCHEMA = """
CREATE TABLE job (
  id TEXT PRIMARY KEY, plan_id TEXT NOT NULL, provider TEXT NOT NULL, model TEXT NOT NULL,
  lane TEXT NOT NULL, strategy TEXT NOT NULL, account TEXT NOT NULL, fingerprint TEXT NOT NULL,
  versions TEXT NOT NULL, rows INTEGER NOT NULL, cap TEXT, created TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('open', 'cancelling', 'stopped', 'done')),
  stopped_because TEXT, parent TEXT, rehearsal INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE attempt (
  job TEXT NOT NULL REFERENCES job (id), shard INTEGER NOT NULL, n INTEGER NOT NULL,
  state TEXT NOT NULL, sha256 TEXT NOT NULL, rows INTEGER NOT NULL, bytes INTEGER NOT NULL,
  tokens INTEGER NOT NULL, ceiling TEXT NOT NULL, file_id TEXT, batch_id TEXT, adopted TEXT,
  high_water TEXT, intent_at TEXT, created_at TEXT, ended_at TEXT, expires_at TEXT,
  harvest_by TEXT, status TEXT, counts TEXT, last_poll TEXT, error TEXT,
  PRIMARY KEY (job, shard, n)
) WITHOUT ROWID;
CREATE UNIQUE INDEX one_batch ON attempt (batch_id) WHERE batch_id IS NOT NULL;
CREATE TABLE event (
  seq INTEGER PRIMARY KEY AUTOINCREMENT, at TEXT NOT NULL, job TEXT NOT NULL, shard INTEGER,
  n INTEGER, kind TEXT NOT NULL, facts TEXT NOT NULL
);
CREATE INDEX event_of_job ON event (job, seq);
CREATE TRIGGER event_stays BEFORE UPDATE ON event
  BEGIN SELECT RAISE (ABORT, 'events are appended, never changed'); END;
CREATE TRIGGER event_is_kept BEFORE DELETE ON event
  BEGIN SELECT RAISE (ABORT, 'events are appended, never removed'); END;
CREATE TABLE charge (
  job TEXT NOT NULL, leg TEXT NOT NULL, shard INTEGER NOT NULL, lane TEXT NOT NULL,
  meter TEXT NOT NULL, over INTEGER, quantity INTEGER NOT NULL, rate TEXT NOT NULL,
  amount TEXT NOT NULL, at TEXT NOT NULL
);
CREATE INDEX charge_of_job ON charge (job, leg, shard);
CREATE TABLE hold (
  job TEXT NOT NULL, leg TEXT NOT NULL, amount TEXT NOT NULL, PRIMARY KEY (job, leg)
) WITHOUT ROWID;
CREATE TABLE imported (
  provider TEXT NOT NULL, batch_id TEXT NOT NULL, model TEXT NOT NULL, lane TEXT NOT NULL,
  rows INTEGER NOT NULL, created TEXT NOT NULL, ended TEXT, state TEXT NOT NULL,
  PRIMARY KEY (provider, batch_id)
) WITHOUT ROWID;
"""


_REASONS = frozenset({"error", "because"})
"""Facts that are reasons, in anybody's words."""


class NoRoomError(Exception):
    """Money was not set aside after all, and why; nothing was written."""


def _room(reason: str | None) -> None:
    if reason is not None:
        raise NoRoomError(reason)


def _allowed() -> str | None:
    """Nobody minds."""


def _no_checkpoint(_step: str) -> None:
    """Nothing is killed outside tests."""


class Ledger:
    """The record of every job of one user; each method is one transaction."""

    def __init__(
        self, folder: Path, connection: sqlite3.Connection, checkpoint: Callable[[str], None]
    ) -> None:
        self.folder = folder
        self._db = connection
        self._checkpoint = checkpoint

    @classmethod
    def open(cls, folder: Path, *, checkpoint: Callable[[str], None] = _no_checkpoint) -> Ledger:
        """The ledger of a data home, made where there is none.

        InputError where the folder cannot be written, the file is damaged (checked when the
        last writer did not finish), or a newer planner wrote it.
        """
        home.private_folder(folder)
        home.private_folder(folder / home.JOBS)
        path = folder / home.LEDGER
        unclean = _unclean(path)
        home.private_file(path)
        db = _connect(f"{path.absolute().as_uri()}?mode=rw", path)
        try:
            db.execute("PRAGMA journal_mode = DELETE")
            db.execute("PRAGMA synchronous = EXTRA")
            db.execute("PRAGMA fullfsync = 1")
            _create(db, path)
            if unclean:
                _check_whole(db, path)
        except sqlite3.DatabaseError as error:
            db.close()
            raise _damaged(path, str(error)) from None
        return cls(folder, db, checkpoint)

    @classmethod
    def read_only(cls, folder: Path) -> Ledger | None:
        """The ledger as it stands, for whoever watches; None where there is none."""
        path = folder / home.LEDGER
        if not path.is_file() or not path.stat().st_size:
            return None
        try:
            db = _reading(path)
        except sqlite3.OperationalError:
            # A writer that died left half a transaction, which only a writer can undo.
            cls.open(folder).close()
            db = _reading(path)
        return cls(folder, db, _no_checkpoint)

    def close(self) -> None:
        """Let the file go."""
        self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def job_folder(self, job_id: str) -> Path:
        """Where a job's files are."""
        return self.folder / home.JOBS / job_id

    def lock(self, job_id: str) -> AbstractContextManager[None]:
        """Hold the job for this process; InputError where another one holds it."""
        path = self.folder / home.JOBS / f"{job_id}.lock"
        return home.lock(path, f"job {job_id}")

    def health(self) -> tuple[str, ...]:
        """What is wrong with the file; empty where nothing is."""
        return _faults(self._db)

    # --- jobs ---------------------------------------------------------------------------

    def admit(  # noqa: PLR0913 -- what a job is made of, once
        self,
        plan: Plan,
        account: Account,
        versions: Mapping[str, str],
        shards: Sequence[Shard],
        ceilings: Sequence[Usd],
        cap: Usd | None,
        now: datetime,
        *,
        parent: str | None = None,
        rehearsal: bool = False,
    ) -> Job:
        """The job of a plan with an attempt a shard, or the one that is there already.

        A cap that is given replaces the one that stood. InputError: it is another account's.
        `shards` is empty for a job without batches.
        """
        with self._transaction("admit") as db:
            there = self._job_row(plan.nonce)
            if there is not None:
                self.check_account(records.job_of(there), account)
                if cap is not None:
                    db.execute(
                        "UPDATE job SET cap = ? WHERE id = ?", (records.money(cap), plan.nonce)
                    )
            else:
                values = {
                    **records.of_plan(plan, shards, account, versions, now),
                    "cap": records.money(cap),
                    "parent": parent,
                    "rehearsal": int(rehearsal),
                }
                _insert(db, "job", values)
                told = {"shards": len(shards), "rows": values["rows"]}
                self._event(plan.nonce, "admitted", now, told)
            if shards and not self.attempts(plan.nonce):
                for shard, ceiling in zip(shards, ceilings, strict=True):
                    _insert(db, "attempt", records.first(plan.nonce, shard, ceiling))
        return self.job(plan.nonce)

    def job(self, prefix: str) -> Job:
        """The job whose id begins so; InputError where there is none, or more than one."""
        found = [each for each in self.jobs() if prefix and each.id.startswith(prefix)]
        exact = [each for each in found if each.id == prefix]
        if len(found) == 1 or exact:
            return (exact or found)[0]
        if not found:
            raise InputError.of(
                "no-job", f"no job {prefix}", hint="planner jobs lists those there are"
            )
        names = ", ".join(each.id for each in found)
        raise InputError.of("several-jobs", f"{prefix} begins several jobs: {names}")

    def jobs(self) -> tuple[Job, ...]:
        """All jobs, the oldest first."""
        found = map(records.job_of, self._db.execute("SELECT * FROM job ORDER BY created, id"))
        return tuple(
            replace(each, stopped_because=self._told(each.id, each.stopped_because))
            for each in found
        )

    def settle(
        self, job_id: str, state: JobState, now: datetime, *, because: str | None = None
    ) -> Job:
        """Say of the job as a whole where it stands; `because` of one that stopped."""
        because = self._kept(job_id, because)
        with self._transaction(f"job {state}") as db:
            done = db.execute(
                "UPDATE job SET state = ?, stopped_because = ? WHERE id = ?",
                (state, because, job_id),
            )
            assert done.rowcount == 1, f"no job {job_id}"
            self._event(job_id, f"job {state}", now, {"because": because} if because else {})
        return self.job(job_id)

    def check_account(self, job: Job, account: Account) -> None:
        """InputError where the job is bound to another account, or another address of it.

        Under another account a vendor's list is empty, which would look like "nothing was sent".
        """
        if job.fingerprint == account.fingerprint:
            return
        parts = ("provider", "base_url", "organization", "workspace", "project")
        moved = [
            f"{part.replace('_', ' ')} {getattr(account, part) or 'none'}, "
            f"not {getattr(job.account, part) or 'none'}"
            for part in parts
            if getattr(account, part) != getattr(job.account, part)
        ]
        raise InputError.of(
            "another-account",
            f"job {job.id} belongs to another account: {'; '.join(moved)}",
            hint="use a key of the account that it was sent from; keys of one account may change",
        )

    # --- attempts -----------------------------------------------------------------------

    def attempts(self, job_id: str, *, all: bool = False) -> tuple[Attempt, ...]:
        """The newest attempt of each shard, or all of them, in the order of the shards."""
        rows = self._db.execute("SELECT * FROM attempt WHERE job = ? ORDER BY shard, n", (job_id,))
        found = tuple(map(self._attempt, rows))
        return found if all else tuple({each.shard: each for each in found}.values())

    def batches(self, provider: str) -> frozenset[str]:
        """Ids of the batches that some job knows as its own, of any account of a vendor."""
        rows = self._db.execute(
            "SELECT batch_id FROM attempt JOIN job ON job.id = attempt.job "
            "WHERE batch_id IS NOT NULL AND provider = ?",
            (provider,),
        )
        return frozenset(row["batch_id"] for row in rows)

    def move(
        self,
        attempt: Attempt,
        event: Event,
        now: datetime,
        *,
        unless: Callable[[], str | None] = _allowed,
        **facts: Any,
    ) -> Attempt:
        """What happened to an attempt, with what was learned by it; the attempt afterwards.

        `unless` says why it must not happen after all: it is asked while no other process can
        write, so that two of them do not take the same room (NoRoomError). AssertionError where
        the table knows no such step, or another process took one since.
        """
        state = states.after(attempt.state, event)
        facts = self._without_words(attempt.job, facts)
        with self._transaction(event) as db:
            _room(unless())
            _update(db, attempt, {"state": state, **records.columns(facts)})
            told = {"state": state, **records.told(facts)}
            self._event(attempt.job, event, now, told, shard=attempt.shard, n=attempt.n)
        return self._again(attempt)

    def learn(self, attempt: Attempt, now: datetime, **facts: Any) -> Attempt:
        """Facts that change no state, such as a poll's; an event only where the status is new."""
        facts = self._without_words(attempt.job, facts)
        with self._transaction("learn") as db:
            _update(db, attempt, records.columns(facts))
            if "status" in facts and facts["status"] != attempt.status:
                told = records.told(facts)
                self._event(attempt.job, "status", now, told, shard=attempt.shard, n=attempt.n)
        return self._again(attempt)

    def again(self, attempt: Attempt, now: datetime) -> Attempt:
        """A new attempt of the same shard, after one that came to nothing."""
        assert attempt.state in states.SETTLED - {"merged"}, f"{attempt.state} is not over"
        with self._transaction("again") as db:
            same = {name: getattr(attempt, name) for name in "job shard sha256 rows".split()}
            more = {"bytes": attempt.bytes, "tokens": attempt.tokens}
            made = {**same, **more, "ceiling": records.money(attempt.ceiling), "n": attempt.n + 1}
            _insert(db, "attempt", {**made, "state": "built"})
            self._event(attempt.job, "again", now, {}, shard=attempt.shard, n=attempt.n + 1)
        return self.attempts(attempt.job)[self._place(attempt)]

    def _place(self, attempt: Attempt) -> int:
        return [each.shard for each in self.attempts(attempt.job)].index(attempt.shard)

    def _again(self, attempt: Attempt) -> Attempt:
        row = self._db.execute(
            "SELECT * FROM attempt WHERE job = ? AND shard = ? AND n = ?",
            (attempt.job, attempt.shard, attempt.n),
        ).fetchone()
        return self._attempt(row)

    def _attempt(self, row: sqlite3.Row) -> Attempt:
        found = records.attempt_of(row)
        return replace(found, error=self._told(found.job, found.error))

    # --- why ----------------------------------------------------------------------------

    def _kept(self, job_id: str, reason: str | None) -> str | None:
        """What may stay here of a reason; its words are on the disk with the job's files."""
        return reasons.keep(self.job_folder(job_id), reason)

    def _told(self, job_id: str, kept: str | None) -> str | None:
        return reasons.told(self.job_folder(job_id), kept)

    def _without_words(self, job_id: str, facts: Mapping[str, Any]) -> dict[str, Any]:
        """Facts with every reason as it may be kept."""
        kept = {name: self._kept(job_id, facts[name]) for name in _REASONS if name in facts}
        return {**facts, **kept}

    # --- the record ---------------------------------------------------------------------

    def note(self, job_id: str, kind: str, now: datetime, **facts: Any) -> None:
        """Something worth keeping that changes nothing: ids, counts and hashes, never text."""
        facts = self._without_words(job_id, facts)
        with self._transaction(kind):
            self._event(job_id, kind, now, records.told(facts))

    def events(self, job_id: str) -> tuple[Note, ...]:
        """All that happened to a job, in order."""
        rows = self._db.execute("SELECT * FROM event WHERE job = ? ORDER BY seq", (job_id,))
        return tuple(
            Note(
                seq=row["seq"],
                at=datetime.fromisoformat(row["at"]),
                kind=row["kind"],
                shard=row["shard"],
                n=row["n"],
                facts=self._facts(job_id, row["facts"]),
            )
            for row in rows
        )

    def _facts(self, job_id: str, said: str) -> dict[str, Any]:
        facts: dict[str, Any] = json.loads(said)
        return facts | {name: self._told(job_id, facts[name]) for name in _REASONS & facts.keys()}

    def _event(
        self,
        job_id: str,
        kind: str,
        now: datetime,
        facts: Mapping[str, Any],
        *,
        shard: int | None = None,
        n: int | None = None,
    ) -> None:
        said = json.dumps(facts, default=records.shown)
        values = {"at": records.text(now), "job": job_id, "shard": shard, "n": n, "kind": kind}
        _insert(self._db, "event", {**values, "facts": said})

    # --- money --------------------------------------------------------------------------

    def bill(
        self,
        job_id: str,
        leg: Leg,
        lines: Iterable[Line],
        now: datetime,
        *,
        shard: int = 0,
        aside: Usd = ZERO,
    ) -> None:
        """What a shard (or a leg without shards) cost: replaces what was said of it before.

        So a merge that is repeated counts once. What was charged before keeps its day, and only
        what is more is of `now`; where it is less, the newest charges shrink. `aside`:
        what the shard may cost beyond its lines, because some of it has no rate yet; it stays
        in flight until a bill says that nothing does.
        """
        key = (job_id, leg, shard)
        with self._transaction("bill") as db:
            where = "WHERE job = ? AND leg = ? AND shard = ?"
            before = db.execute(f"SELECT * FROM charge {where} ORDER BY at, rowid", key).fetchall()  # noqa: S608 -- constants
            db.execute(f"DELETE FROM charge {where}", key)  # noqa: S608 -- constants
            for values in records.booked(before, lines, now):
                _insert(db, "charge", {"job": job_id, "leg": leg, "shard": shard, **values})
            self._set_aside(job_id, _of_shard(leg, shard), aside)

    def billed(self, job_id: str, *, shard: int | None = None) -> tuple[Charge, ...]:
        """The bill of a job (or of one shard) by leg, lane, meter and tier."""
        where, keys = "WHERE job = ?", [job_id]
        if shard is not None:
            where, keys = f"{where} AND shard = ?", [*keys, shard]  # type: ignore[list-item]  # SQL takes both
        rows = self._db.execute(f"SELECT * FROM charge {where}", keys).fetchall()  # noqa: S608 -- constants
        sums: dict[tuple[Any, ...], list[sqlite3.Row]] = {}
        for row in rows:
            key = (row["leg"], row["lane"], row["meter"], row["over"], row["rate"])
            sums.setdefault(key, []).append(row)
        return tuple(
            Charge(
                leg=cast("Leg", leg),
                lane=lane,
                meter=meter,
                over=over,
                quantity=sum(row["quantity"] for row in parts),
                rate=Rate(Decimal(rate)),
                amount=total(records.usd(row["amount"]) for row in parts),
            )
            for (leg, lane, meter, over, rate), parts in sorted(sums.items(), key=records.by_key)
        )

    def hold(
        self,
        job_id: str,
        leg: Leg,
        amount: Usd,
        *,
        unless: Callable[[], str | None] = _allowed,
    ) -> None:
        """The ceiling of what a leg without shards has in flight: replaces the one before.

        `unless` and NoRoomError as of `move`.
        """
        with self._transaction("hold"):
            _room(unless())
            self._set_aside(job_id, leg, amount)

    def _set_aside(self, job_id: str, what: str, amount: Usd) -> None:
        """A row for what is held; nothing is held by a name that was never there."""
        if not amount:
            self._db.execute("DELETE FROM hold WHERE job = ? AND leg = ?", (job_id, what))
            return
        self._db.execute(
            "INSERT INTO hold VALUES (?, ?, ?) "
            "ON CONFLICT (job, leg) DO UPDATE SET amount = excluded.amount",
            (job_id, what, records.money(amount)),
        )

    def spent(self, since: datetime | None = None) -> tuple[Spent, ...]:
        """What each job was billed from a moment on, and has in flight whenever it was sent."""
        since_ = "" if since is None else records.text(since)
        parts: dict[str, tuple[list[Usd], list[Usd]]] = {}
        for row in self._db.execute("SELECT job, amount FROM charge WHERE at >= ?", (since_,)):
            parts.setdefault(row["job"], ([], []))[0].append(records.usd(row["amount"]))
        for job, amount in self._in_flight():
            parts.setdefault(job, ([], []))[1].append(amount)
        return tuple(
            Spent(job=job, billed=total(billed), in_flight=total(flying))
            for job, (billed, flying) in sorted(parts.items())
        )

    def exposure(self, job_id: str) -> Spent:
        """What one job was billed in all, and what it has in flight."""
        nothing = Spent(job=job_id, billed=ZERO, in_flight=ZERO)
        return next((each for each in self.spent() if each.job == job_id), nothing)

    def _in_flight(self) -> Iterator[tuple[str, Usd]]:
        """What was sent and not billed yet; of what was lost nobody knows that it cost nothing."""
        out = sorted(states.IN_DOUBT | states.REMOTE | {"lost"})
        marks = ", ".join("?" * len(out))
        rows = self._db.execute(
            f"SELECT job, ceiling AS amount FROM attempt WHERE state IN ({marks}) "  # noqa: S608 -- question marks
            "AND NOT EXISTS (SELECT 1 FROM charge WHERE charge.job = attempt.job "
            "AND charge.leg = 'batch' AND charge.shard = attempt.shard) "
            "AND NOT EXISTS (SELECT 1 FROM hold WHERE hold.job = attempt.job "
            "AND hold.leg = 'batch ' || attempt.shard) "
            "UNION ALL SELECT job, amount FROM hold",
            out,
        )
        for row in rows:
            yield row["job"], records.usd(row["amount"])

    # --- history ------------------------------------------------------------------------

    def remember(self, batch_id: str, job: FinishedJob) -> bool:
        """Keep a batch that was sent without planner; False where it was known already."""
        values = asdict(job) | {"batch_id": batch_id, "created": records.text(job.created)}
        values["ended"] = None if job.ended is None else records.text(job.ended)
        with self._transaction("remember") as db:
            key = (job.provider, batch_id)
            known = db.execute(
                "SELECT state FROM imported WHERE provider = ? AND batch_id = ?", key
            ).fetchone()
            db.execute("DELETE FROM imported WHERE provider = ? AND batch_id = ?", key)
            _insert(db, "imported", values)
        return known is None

    def finished(self) -> tuple[FinishedJob, ...]:
        """Every batch whose time is known, as history for the next estimate; no rehearsals."""
        own = self._db.execute(
            "SELECT provider, model, lane, attempt.* FROM attempt JOIN job ON job.id = attempt.job "
            "WHERE created_at IS NOT NULL AND NOT rehearsal ORDER BY created_at, job, shard, n"
        )
        rows = [
            records.finished_of(
                row,
                records.attempt_of(row).created_at,
                records.attempt_of(row).ended_at,
                records.ending(records.attempt_of(row)),
            )
            for row in own.fetchall()
        ]
        rows += [
            records.finished_of(
                row, records.moment(row["created"]), records.moment(row["ended"]), row["state"]
            )
            for row in self._db.execute("SELECT * FROM imported ORDER BY created, batch_id")
        ]
        return tuple(rows)

    # --- transactions -------------------------------------------------------------------

    @contextlib.contextmanager
    def _transaction(self, step: str) -> Iterator[sqlite3.Connection]:
        """All of it or nothing; tests may kill the process on either side of the commit."""
        try:
            self._db.execute("BEGIN IMMEDIATE")
            yield self._db
            self._checkpoint(f"before {step}")
            self._db.execute("COMMIT")
        except BaseException as error:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            if isinstance(error, sqlite3.OperationalError):  # the disk is full, or somebody is slow
                raise _damaged(self.folder / home.LEDGER, str(error)) from None
            raise
        self._checkpoint(f"after {step}")

    def _job_row(self, job_id: str) -> sqlite3.Row | None:
        row: sqlite3.Row | None = self._db.execute(
            "SELECT * FROM job WHERE id = ?", (job_id,)
        ).fetchone()
        return row


def _of_shard(leg: Leg, shard: int) -> str:
    """The name under which something of one shard is held: what its bill could not price."""
    return f"{leg} {shard}"


# --- the file ---------------------------------------------------------------------------


def _connect(uri: str, path: Path) -> sqlite3.Connection:
    try:
        db = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=_BUSY_MS / 1000)
        db.row_factory = sqlite3.Row
        db.execute("PRAGMA foreign_keys = 1")
    except sqlite3.Error as error:
        raise _damaged(path, str(error)) from None
    return db


def _reading(path: Path) -> sqlite3.Connection:
    db = _connect(f"{path.absolute().as_uri()}?mode=ro", path)
    try:
        _known_version(db, path)
    except sqlite3.OperationalError:
        db.close()
        raise
    except sqlite3.DatabaseError as error:
        db.close()
        raise _damaged(path, str(error)) from None
    return db


def _unclean(path: Path) -> bool:
    """Whether a writer is at it, or died at it: its journal is still there."""
    journal = path.with_name(f"{path.name}-journal")
    return journal.is_file() and journal.stat().st_size > 0


def _create(db: sqlite3.Connection, path: Path) -> None:
    """The tables, where the file is new; two processes may both find it so."""
    db.execute("BEGIN IMMEDIATE")
    try:
        if db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0:
            for statement in _statements(_SCHEMA):
                db.execute(statement)
            db.execute(f"PRAGMA user_version = {VERSION}")
            db.execute(f"PRAGMA application_id = {_APPLICATION}")
        _known_version(db, path)
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        db.close()
        raise


def _statements(script: str) -> Iterator[str]:
    """The statements of a script: `executescript` would commit on its own."""
    part = ""
    for line in script.splitlines(keepends=True):
        part += line
        if sqlite3.complete_statement(part):
            yield part
            part = ""


def _known_version(db: sqlite3.Connection, path: Path) -> None:
    application = db.execute("PRAGMA application_id").fetchone()[0]
    version = db.execute("PRAGMA user_version").fetchone()[0]
    if application != _APPLICATION:
        raise InputError.of("not-a-ledger", f"{path} is not a ledger of planner")
    if version != VERSION:
        raise InputError.of(
            "other-ledger",
            f"{path} has version {version}, and this planner writes version {VERSION}",
            hint="use the planner that wrote it, or a newer one",
        )


def _faults(db: sqlite3.Connection) -> tuple[str, ...]:
    told = [row[0] for row in db.execute("PRAGMA integrity_check(10)")]
    return () if told == ["ok"] else tuple(told)


def _check_whole(db: sqlite3.Connection, path: Path) -> None:
    faults = _faults(db)
    if faults:
        raise _damaged(path, faults[0])


def _damaged(path: Path, what: str) -> InputError:
    return InputError.of(
        "ledger",
        f"the ledger cannot be used: {what}",
        where=str(path),
        hint="nothing is sent without it; restore it from a backup, or look for your batches at "
        "the vendor before moving it away",
    )


def _insert(db: sqlite3.Connection, table: str, values: Mapping[str, Any]) -> None:
    names = ", ".join(values)
    marks = ", ".join("?" * len(values))
    db.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", tuple(values.values()))  # noqa: S608 -- our own names


def _update(db: sqlite3.Connection, attempt: Attempt, values: Mapping[str, Any]) -> None:
    """Change an attempt that is still in the state it was seen in."""
    names = ", ".join(f"{name} = ?" for name in values)
    key = (attempt.job, attempt.shard, attempt.n, attempt.state)
    done = db.execute(
        f"UPDATE attempt SET {names} WHERE job = ? AND shard = ? AND n = ? AND state = ?",  # noqa: S608 -- our own names
        (*values.values(), *key),
    )
    assert done.rowcount == 1, f"shard {attempt.shard} is no longer {attempt.state}"
