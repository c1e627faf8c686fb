"""Whole files or none: every output is written beside its place and renamed when it is complete."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4


@contextmanager
def written_aside(path: Path) -> Iterator[Path]:
    """Yield a path in the same folder to write to; on success it replaces `path`, on any error it is removed.

    A file replaces an older file in one step, also while others read it. A folder takes its place only where none is.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{uuid4().hex[:8]}.part")
    try:
        yield aside
        aside.replace(path)
    except BaseException:
        remove(aside)
        raise


def remove(path: Path) -> None:
    """Remove a file or a folder with all that is in it; what is missing or held open by others stays as it is."""
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def replace_text(path: Path, text: str) -> None:
    """Replace the whole text of a file in one step (UTF-8)."""
    with written_aside(path) as aside:
        aside.write_text(text, encoding="utf-8", newline="\n")
