"""Whole files or none: every output is written beside its place and renamed when it is complete."""

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

from velatura.base.errors import InputError

ATTEMPTS = 20  # Windows refuses to replace a file while another process reads it: a matter of milliseconds


@contextmanager
def written_aside(path: Path) -> Iterator[Path]:
    """Yield a path in the same folder to write to; on success it replaces `path`, on any error it is removed.

    A file replaces an older file in one step, also while others read it. A folder takes its place only where none is.
    Raises InputError when the disk refuses: full, read-only, no right to write.
    """
    aside = path.with_name(f".{path.name}.{uuid4().hex[:8]}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield aside
        _rename(aside, path)
    except OSError as error:
        remove(aside)
        found = error.strerror or str(error)
        raise InputError(f"{path} cannot be written: {found}. Free the disk or choose another place") from error
    except BaseException:
        remove(aside)
        raise


def remove(path: Path) -> None:
    """Remove a file or a folder with all that is in it; what is missing or held open by others stays as it is."""
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink()


def replace_text(path: Path, text: str) -> None:
    """Replace the whole text of a file in one step (UTF-8)."""
    with written_aside(path) as aside:
        aside.write_text(text, encoding="utf-8", newline="\n")


def _rename(aside: Path, path: Path) -> None:
    for attempt in range(ATTEMPTS):
        try:
            aside.replace(path)
            return
        except PermissionError:
            if attempt == ATTEMPTS - 1:
                raise
            time.sleep(0.02)
