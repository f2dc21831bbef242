"""What stands at a path before there are rows: a plain file, a packed one, a folder.

Everything is read more than once (its head, then a pass, perhaps a second), so what can be
read only once, standard input, is kept in a temporary file first. Unpacking to disk was
rejected for packed files: they unpack again as fast as they were read.

Packages that only one kind of file needs are looked for when such a file comes; without them
the error says which to install.
"""

from __future__ import annotations

import gzip
import hashlib
import importlib
import io
import shutil
import stat
import tempfile
import weakref
import zlib
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, cast

from planner.errors import InputError, Problem, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterator

STANDARD_INPUT = "-"
GZIP = b"\x1f\x8b"
ZSTD = b"\x28\xb5\x2f\xfd"
PARQUET = b"PAR1"
ENCRYPTED_PARQUET = b"PARE"

_BUFFER = 1024 * 1024
_ZSTD_MODULES = ("compression.zstd", "zstandard")
"""The standard library's from Python 3.14 on, and the package that does the same before."""


# --- files ------------------------------------------------------------------------------


def magic(path: Path) -> bytes:
    """The first bytes of a file: enough to tell packed files and tables; InputError."""
    try:
        with io.FileIO(path) as raw:
            return raw.read(len(ZSTD)) or b""
    except OSError as error:
        raise unopenable(path, error) from None


def is_table(path: Path) -> bool:
    """Whether the file is Parquet, whatever its name says."""
    return magic(path) in (PARQUET, ENCRYPTED_PARQUET)


def is_packed(path: Path) -> bool:
    """Whether the file is compressed, so that its rows cannot be found from the middle."""
    return magic(path).startswith((GZIP, ZSTD))


def file_size(path: Path) -> int:
    """Bytes of a regular file that is not empty; InputError for anything else."""
    try:
        status = path.stat()
    except OSError as error:
        raise unopenable(path, error) from None
    if stat.S_ISDIR(status.st_mode):
        raise InputError.of(
            "is-a-folder", f"{path.name or path} is a folder, not a file of rows", where=str(path)
        )
    if not stat.S_ISREG(status.st_mode):
        raise InputError.of(
            "not-a-file",
            "a workload is read more than once, so it must be a regular file",
            where=str(path),
            hint="write the rows to a file first, or pipe them in (-)",
        )
    if status.st_size == 0:
        raise InputError.of("empty-file", "the file is empty", where=str(path))
    return status.st_size


def unopenable(path: Path, error: OSError) -> InputError:
    """The error for a path that cannot be opened."""
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        problem = Problem(
            code="no-such-file",
            message="there is no such file",
            where=str(path),
            hint=did_you_mean(path.name, _neighbours(path)),
        )
    else:
        reason = (error.strerror or type(error).__name__).lower()
        problem = Problem(
            code="unreadable-file", message=f"the file cannot be read: {reason}", where=str(path)
        )
    return InputError(problem)


def _neighbours(path: Path) -> list[str]:
    try:
        return [each.name for each in path.parent.iterdir()]
    except OSError:
        return []


@contextmanager
def reading(path: Path) -> Iterator[tuple[io.FileIO, io.BufferedIOBase]]:
    """The file as it is on disk, and the stream of its unpacked bytes; InputError."""
    try:
        with io.FileIO(path) as raw:
            start = raw.read(len(ZSTD)) or b""
            raw.seek(0)
            with _unpacked(path, raw, start) as unpacked:
                yield raw, unpacked
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise _broken(path, error) from None
    except OSError as error:
        raise unopenable(path, error) from None
    except Exception as error:
        if type(error).__name__ == "ZstdError":  # of whichever package is there
            raise _broken(path, error) from None
        raise


def _unpacked(path: Path, raw: io.FileIO, start: bytes) -> io.BufferedIOBase:
    if start.startswith(GZIP):
        return gzip.GzipFile(fileobj=raw)
    if start == ZSTD:
        return _zstd(path, raw)
    return io.BufferedReader(raw, _BUFFER)


def _zstd(path: Path, raw: io.FileIO) -> io.BufferedIOBase:
    for name in _ZSTD_MODULES:
        try:
            module = importlib.import_module(name)
        except ImportError:
            continue
        if hasattr(module, "ZstdFile"):
            return cast("io.BufferedIOBase", module.ZstdFile(raw))
        reader = module.ZstdDecompressor().stream_reader(raw, read_across_frames=True)
        return io.BufferedReader(reader, _BUFFER)
    raise InputError.of(
        "needs-zstd",
        "the file is packed with zstd, and nothing here unpacks that",
        where=str(path),
        hint="install the package zstandard, or unpack it first: zstd -d FILE",
    )


def _broken(path: Path, error: Exception) -> InputError:
    return InputError.of(
        "bad-compression", f"the file cannot be unpacked: {error}", where=str(path)
    )


def digest(path: Path) -> str:
    """`sha256:` and the hex digest of the bytes on disk; of a folder, of all its files."""
    if not path.is_dir():
        with reading(path) as (raw, _):
            return f"sha256:{hashlib.file_digest(raw, 'sha256').hexdigest()}"
    every = hashlib.sha256()
    for each in files(path):
        every.update(f"{name_in(path, each)}\0{digest(each)}\n".encode(errors="surrogateescape"))
    return f"sha256:{every.hexdigest()}"


# --- standard input ---------------------------------------------------------------------


class Spool:
    """All of a stream in a temporary file, which is there as long as the object is."""

    def __init__(self, stream: IO[bytes]) -> None:
        handle, name = tempfile.mkstemp(prefix="planner-", suffix=".rows")
        self.path = Path(name)
        weakref.finalize(self, self.path.unlink, missing_ok=True)
        with open(handle, "wb") as file:  # noqa: PTH123 -- a handle, not a path
            shutil.copyfileobj(stream, file, _BUFFER)


# --- folders ----------------------------------------------------------------------------


def files(folder: Path) -> tuple[Path, ...]:
    """Every file below a folder in the order of their names; hidden ones are left out."""
    try:
        found = [each for each in folder.rglob("*") if each.is_file()]
    except OSError as error:
        raise unopenable(folder, error) from None
    seen = [each for each in found if not _hidden(folder, each)]
    if not seen:
        raise InputError.of("empty-folder", "there is no file in this folder", where=str(folder))
    return tuple(sorted(seen, key=lambda each: name_in(folder, each)))


def name_in(folder: Path, file: Path) -> str:
    """The file's path from the folder on, with forward slashes."""
    return file.relative_to(folder).as_posix()


def _hidden(folder: Path, file: Path) -> bool:
    return any(part.startswith(".") for part in file.relative_to(folder).parts)
