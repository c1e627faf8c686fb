"""A folder of pictures of paintings to train from: of Wikidata and Commons, or of your own, checked and listed."""

import csv
import hashlib
import io
import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from itertools import zip_longest
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote

from velatura.base.aside import remove, replace_text, written_aside
from velatura.base.errors import InputError, did_you_mean
from velatura.base.progress import Progress, silent
from velatura.io.downloads import SERVER_ERROR, RefusedError, Visitor
from velatura.io.wikidata import (
    COMMONS,
    FRESCO,
    PAINTING,
    QUERY_SERVICE,
    TOGETHER,
    Painting,
    Picture,
    find_paintings,
    find_pictures,
)
from velatura.scene.seed_images import SUFFIXES, TABLE, hashed_split

COLUMNS = (*("file", "title", "artist", "artist_died", "source", "licence", "attribution", "sha256", "split", "item"),)
CANDIDATES = "candidates.json"
LEFT_OUT, REASONS = "left-out.csv", ("item", "reason")
LICENCES = ("public-domain", "free")
YEARS_AFTER_DEATH = 100
FIRST_DEATH = 1250
SPAN = 25  # years of deaths in one query
SPARE = 3  # candidates for each picture wanted
SMALLEST = 128  # pixels of the short side
GREYEST = 6.0  # mean spread of the three colours, of 255, below which a picture counts as without colour
FAILURES = 3  # pictures in a row that a server fails to give before it counts as out of order
GONE = (404, 410, 413)  # HTTP: not found, gone, too large
NOT_PUBLIC = "is not in the public domain"
NOT_HAD = "is not to be had: HTTP "
OUTAGE = NOT_HAD + "5"  # a server's own errors: another day it may answer
PUBLIC, OWN = ("Public domain", "CC0"), "your own"  # how licences begin that need no second look
FORMATS = {"JPEG": ".jpg", "MPO": ".jpg", "PNG": ".png", "WEBP": ".webp", "TIFF": ".tif"}


class Services(NamedTuple):
    """Where to ask."""

    query: str = QUERY_SERVICE
    commons: str = COMMONS


@dataclass(frozen=True)
class Wanted:
    """Which paintings. Raises InputError for values that cannot be."""

    number: int = 500
    """Pictures in the end."""
    licence: str = "public-domain"
    """Of the pictures, as Commons states it: public-domain, or free: any that Commons accepts, attribution kept."""
    frescoes: bool = True
    """Frescoes too."""
    width: int = 500
    """Of the pictures [pixels]; 500 is one of the sizes that Commons keeps ready."""
    each: int = 8
    """At most so many of one painter."""

    def __post_init__(self) -> None:
        if min(self.number, self.each) < 1 or self.width < SMALLEST:
            raise InputError(
                f"number and each must be 1 or more, width {SMALLEST} or more; "
                f"found {self.number}, {self.each} and {self.width}"
            )
        if self.licence not in LICENCES:
            hint = did_you_mean(self.licence, LICENCES)
            raise InputError(f"no licence {self.licence!r}; known are {', '.join(LICENCES)}{hint}")


class Gathered(NamedTuple):
    """What a folder holds."""

    table: Path
    pictures: int
    painters: int
    left_out: int


def gather_paintings(
    folder: Path,
    wanted: Wanted,
    visitor: Visitor,
    *,
    services: Services | None = None,
    today: date | None = None,
    progress: Progress = silent,
) -> Gathered:
    """Fill a folder with pictures of paintings whose painter died 100 years ago or earlier, and list them.

    The list (paintings.csv) is complete for the pictures that are there at any moment; the same call goes on where a
    killed one stopped and asks for nothing that is there. All pictures of one painter are in one split. Raises
    InputError when a service cannot be reached.
    """
    services = services or Services()
    kept = _Collection(Path(folder))
    free = wanted.licence == "free"
    if not free:
        _leave_out_free(kept, wanted, visitor, service=services.commons)
    todo: list[Painting] = []
    if len(kept.rows) < wanted.number:
        kept.forget((OUTAGE, NOT_PUBLIC) if free else (OUTAGE,))
        candidates = _candidates(kept.folder, wanted, visitor, service=services.query, today=today, progress=progress)
        seen = kept.seen()
        todo = [one for one in candidates if one.item not in seen]
    while todo and len(kept.rows) < wanted.number:
        some, todo = todo[:TOGETHER], todo[TOGETHER:]
        known = find_pictures(visitor, [one.image for one in some], service=services.commons, width=wanted.width)
        for painting in some:
            progress("pictures", len(kept.rows), wanted.number)
            if len(kept.rows) < wanted.number:
                _fetch(kept, painting, known.get(painting.image), visitor=visitor, licence=wanted.licence)
    progress("pictures", len(kept.rows), wanted.number)
    return kept.summary()


def bring_paintings(folder: Path, source: Path, *, progress: Progress = silent) -> Gathered:
    """Copy the usable pictures of a folder of your own and list them; a sub-folder is taken for one painter.

    The originals stay as they are. What lies in `folder` is left alone where that is within `source`. Raises InputError
    for a folder without pictures, or the folder itself.
    """
    folder, source = Path(folder), Path(source)
    named = (path for path in source.rglob("*") if path.suffix.lower() in SUFFIXES and path.name[0] != ".")
    made, asked = folder.resolve(), source.resolve()
    within = asked in made.parents
    paths = sorted(path for path in named if path.is_file() and not (within and made in path.resolve().parents))
    if not paths or made == asked:
        raise InputError(f"{source} must be another folder with pictures ({', '.join(SUFFIXES)}); found {len(paths)}")
    kept = _Collection(folder)
    seen = kept.seen()
    for done, path in enumerate(paths):
        progress("pictures", done, len(paths))
        item = path.relative_to(source).as_posix()
        if item in seen:
            continue
        content = path.read_bytes()
        suffix, reason = checked(content)
        if reason:
            kept.leave_out(item, reason)
            continue
        artist = path.parent.name if path.parent != source else ""
        name = hashlib.sha256(item.encode()).hexdigest()[:12] + suffix
        told = {"title": path.stem, "artist": artist, "source": item, "licence": OWN, "item": item}
        kept.keep(content, {**told, "file": name, "split": hashed_split(artist or path.name)})
    progress("pictures", len(paths), len(paths))
    return kept.summary()


def checked(content: bytes) -> tuple[str, str]:
    """Return (suffix, "") of a usable picture, or ("", reason): not decodable, too small, without colour."""
    import numpy as np
    from PIL import Image

    try:
        with Image.open(io.BytesIO(content)) as opened:
            suffix = FORMATS.get(opened.format or "")
            short = min(opened.size)
            opened.draft("RGB", (256, 256))
            pixels = np.asarray(opened.convert("RGB").resize((64, 64)), np.float32)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        return "", f"cannot be decoded: {error}"
    if suffix is None:
        return "", "is of no usual format"
    if short < SMALLEST:
        return "", f"is too small: {short} pixels"
    if np.mean(np.ptp(pixels, axis=-1)) < GREYEST:
        return "", "is without colour"
    return suffix, ""


def in_turn(paintings: Sequence[Sequence[Painting]], *, each: int) -> list[Painting]:
    """Return paintings of several periods in an order of which any beginning is varied: periods and painters in turn.

    each: at most so many of one painter. The order within a period depends on nothing but the items' names.
    """
    periods = []
    for found in paintings:
        painters: dict[str, list[Painting]] = {}
        for painting in sorted(found, key=lambda one: _number(one.item)):
            painters.setdefault(painting.artist_item, []).append(painting)
        order = sorted(painters, key=_number)
        ranks = zip_longest(*(painters[artist][:each] for artist in order))
        periods.append([painting for rank in ranks for painting in rank if painting])
    mixed = [painting for rank in zip_longest(*periods) for painting in rank if painting]
    return list({painting.item: painting for painting in mixed}.values())


def _candidates(
    folder: Path, wanted: Wanted, visitor: Visitor, *, service: str, today: date | None, progress: Progress
) -> list[Painting]:
    """Ask once for more paintings than are wanted and keep the answer beside the pictures."""
    end = (today or date.today()).year - YEARS_AFTER_DEATH
    asked = {"number": wanted.number, "frescoes": wanted.frescoes, "each": wanted.each}
    path = folder / CANDIDATES
    with suppress(OSError, ValueError, KeyError, TypeError):  # absent or of another making: ask again
        kept = json.loads(path.read_text(encoding="utf-8"))
        if kept["asked"] == asked:
            return [Painting(*row) for row in kept["paintings"]]
    spans = [(PAINTING, first, min(first + SPAN, end)) for first in range(FIRST_DEATH, end, SPAN)]
    if wanted.frescoes:
        spans.append((FRESCO, FIRST_DEATH, end))
    most = max(100, 2 * SPARE * wanted.number * wanted.each // len(spans))
    found = []
    for done, (kind, first, last) in enumerate(spans):
        progress("queries", done, len(spans))
        found.append(find_paintings(visitor, kind, service=service, first=first, end=last, most=most))
    progress("queries", len(spans), len(spans))
    chosen = in_turn(found, each=wanted.each)[: SPARE * wanted.number]
    replace_text(path, json.dumps({"asked": asked, "paintings": chosen}, ensure_ascii=False))
    return chosen


def _leave_out_free(kept: "_Collection", wanted: Wanted, visitor: Visitor, *, service: str) -> None:
    """Leave out what a run that took any free licence brought; Commons is asked of licences that may be such."""
    doubtful = [row for row in kept.rows if not row["licence"].startswith((*PUBLIC, OWN))]
    images = [unquote(row["source"].rsplit("File:", 1)[-1]) for row in doubtful]
    known: dict[str, Picture] = {}
    for first in range(0, len(images), TOGETHER):
        some = images[first : first + TOGETHER]
        known |= find_pictures(visitor, some, service=service, width=wanted.width)
    for image, row in zip(images, doubtful, strict=True):
        if image not in known or not known[image].public_domain:
            kept.drop(row, f"{NOT_PUBLIC}: {row['licence']}")


def _fetch(kept: "_Collection", painting: Painting, picture: Picture | None, *, visitor: Visitor, licence: str) -> None:
    """Fetch one picture and keep it, or note why not; several failures of the server in a row are raised."""
    if picture is None:
        return kept.leave_out(painting.item, "is not on Commons")
    if licence == "public-domain" and not picture.public_domain:
        return kept.leave_out(painting.item, f"{NOT_PUBLIC}: {picture.licence}")
    try:
        content = visitor.get(picture.address, accept="image/*", attempts=FAILURES)
    except RefusedError as error:
        if error.status not in GONE:
            kept.failures += 1
            if error.status < SERVER_ERROR or kept.failures == FAILURES:
                raise
        return kept.leave_out(painting.item, f"{NOT_HAD}{error.status}")
    kept.failures = 0
    suffix, reason = checked(content)
    if reason:
        return kept.leave_out(painting.item, reason)
    row = {
        "file": painting.item + suffix, "title": painting.title, "artist": painting.artist,
        "artist_died": str(painting.artist_died), "source": picture.page, "licence": picture.licence,
        "attribution": picture.attribution, "split": hashed_split(painting.artist), "item": painting.item,
    }  # fmt: skip
    return kept.keep(content, row)


class _Collection:
    """A folder of pictures, its list and the list of what was left out; both are complete at any moment."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.rows = _read(folder / TABLE, COLUMNS)
        self.left_out = _read(folder / LEFT_OUT, REASONS)
        self.failures = 0

    def seen(self) -> set[str]:
        return {row["item"] for row in (*self.rows, *self.left_out)}

    def keep(self, content: bytes, row: dict[str, str]) -> None:
        """Keep a picture, unless another row has it: under two painters it could land in two splits."""
        sha256 = hashlib.sha256(content).hexdigest()
        if same := next((one["item"] for one in self.rows if one["sha256"] == sha256), None):
            return self.leave_out(row["item"], f"is the same picture as {same}")
        with written_aside(self.folder / row["file"]) as aside:
            aside.write_bytes(content)
        self.rows.append({**row, "sha256": sha256})
        return _write(self.folder / TABLE, COLUMNS, self.rows)

    def drop(self, row: dict[str, str], reason: str) -> None:
        self.rows.remove(row)
        _write(self.folder / TABLE, COLUMNS, self.rows)
        remove(self.folder / row["file"])
        self.leave_out(row["item"], reason)

    def forget(self, reasons: tuple[str, ...]) -> None:
        """Forget what was left out for reasons that begin so: it is tried again."""
        rest = [row for row in self.left_out if not row["reason"].startswith(reasons)]
        if len(rest) < len(self.left_out):
            self.left_out = rest
            _write(self.folder / LEFT_OUT, REASONS, rest)

    def leave_out(self, item: str, reason: str) -> None:
        self.left_out.append({"item": item, "reason": reason})
        _write(self.folder / LEFT_OUT, REASONS, self.left_out)

    def summary(self) -> Gathered:
        if not self.rows:  # the list is there, though nothing is on it
            _write(self.folder / TABLE, COLUMNS, self.rows)
        painters = {row["artist"] for row in self.rows}
        return Gathered(self.folder / TABLE, len(self.rows), len(painters), len(self.left_out))


def _read(path: Path, columns: Sequence[str]) -> list[dict[str, str]]:
    if not path.is_file():
        return []
    with path.open(encoding="utf-8", newline="") as opened:
        reader = csv.DictReader(opened)
        if tuple(reader.fieldnames or ()) != tuple(columns):
            raise InputError(f"{path} is the list of another collection. Choose another folder")
        return list(reader)


def _write(path: Path, columns: Sequence[str], rows: list[dict[str, str]]) -> None:
    text = io.StringIO()
    table = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    replace_text(path, text.getvalue())


def _number(name: str) -> int:
    """A number that looks random and is always the same."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8])
