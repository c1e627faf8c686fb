"""A painting recoloured with its own photograph as teacher, where one exists: of a part, or with losses left out.

Several ways to learn from a photograph are tried, from none at all to a network taught further. The photograph is cut
into blocks of three sorts: all ways learn from the first, the second chooses between them, and the third, which neither
saw, says what was gained. The way that was chosen then learns from the whole photograph.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import PRNGKeyArray

from velatura.base.errors import InputError
from velatura.base.progress import Progress, silent
from velatura.imaging.colour import colour_difference, srgb_to_lab
from velatura.scene.training import rng_of
from velatura.tasks.photo_colours import (
    alike,
    corrected_colours,
    linear_colours,
    nearby_colours,
    nearest,
    neighbour_colours,
    pixel_features,
    thinned_rows,
)
from velatura.tasks.recolour_cube import EmbeddedCube
from velatura.tasks.recolour_finetune import FineTuning, finetuned
from velatura.tasks.recolour_model import RIGHT, Recoloured, Recolourer, familiar, recolour

PLAIN, CORRECTED, FINETUNED = "plain", "corrected", "finetuned"
LINEAR, NEARBY, NEIGHBOURS = "linear", "nearby", "neighbours"
WAYS: Mapping[str, str] = {
    PLAIN: "a photograph was to teach the colours, but no way to learn from it did better than the recolourer as it is",
    CORRECTED: "a photograph put the recolourer's colours right as a whole",
    LINEAR: "a photograph taught the colour of each pixel as a function of its spectrum",
    NEARBY: "a photograph taught the colour of each pixel as a function of its spectrum and of what is near by",
    NEIGHBOURS: "each pixel got the mean colour of the photographed pixels with the most similar spectra",
    FINETUNED: "a photograph taught the recolourer further",
}
"""And what is said of the one that was chosen."""
SPECTRAL = {LINEAR: linear_colours, NEARBY: nearby_colours, NEIGHBOURS: neighbour_colours}
"""Ways that need no recolourer."""
BLOCKS = 40  # into which the photographed pixels are cut
SHARES = (0.6, 0.2, 0.2)  # of the pixels: to learn from, to choose by, to report on
FEWEST = 300  # pixels that teach
ALIKE = 25  # held-out pixels whose differences tell what to expect of one
NEAR = 3  # pixels to learn from, whose mean distance says how new a pixel is


@dataclass(frozen=True)
class PhotoTeaching:
    """How a photograph teaches. The defaults suit a scan of any size."""

    ways: tuple[str, ...] = tuple(WAYS)
    """That are tried: plain, corrected, linear, nearby, neighbours, finetuned."""
    tuning: FineTuning = field(default_factory=FineTuning)

    def __post_init__(self) -> None:
        if not self.ways or (unknown := [way for way in self.ways if way not in WAYS]):
            raise InputError(f"ways to learn are {', '.join(WAYS)}; found {', '.join(unknown) or 'none'}")


class Trial(NamedTuple):
    """How one way to learn did, by mean CIEDE2000 from the photograph."""

    way: str
    chosen_by: float
    """On the blocks that choose."""
    reported: float
    """On the blocks that nothing saw."""


class Taught(NamedTuple):
    """A painting recoloured with the help of a photograph."""

    colours: Recoloured
    """NaN without an answer. Where the photograph itself is shown: error 0, trust 1."""
    shown: np.ndarray
    """Where the colours are those of the photograph, bool [y, x]."""
    way: str
    trials: tuple[Trial, ...]
    pixels: tuple[int, int, int]
    """To learn from, to choose by, to report on."""

    @property
    def by_photo(self) -> bool:
        """Whether any colour comes from the photograph: not where the recolourer as it is did best."""
        return self.way != PLAIN or bool(self.shown.any())

    def reported(self, way: str) -> float:
        """Return the mean CIEDE2000 of a way on blocks that nothing saw; NaN for one that was not tried."""
        return next((trial.reported for trial in self.trials if trial.way == way), float("nan"))


def recolour_by_photo(
    embedded: EmbeddedCube,
    recolourer: Recolourer | None,
    photo: np.ndarray,
    *,
    taught: np.ndarray,
    fill: bool = False,
    config: PhotoTeaching = PhotoTeaching(),
    key: PRNGKeyArray,
    progress: Progress = silent,
) -> Taught:
    """Return an embedded scan recoloured in the way that tells the photograph's colours best.

    recolourer: None where there is none, which leaves the ways SPECTRAL; photo: on the pixels of the scan, sRGB 0 to 1,
    float32 [y, x, 3]; taught: pixels that the photograph shows well, bool [y, x], elsewhere `photo` may be anything;
    fill: these keep the colours of the photograph. Error and trust of a pixel are those of held-out pixels with similar
    spectra; trust falls where a spectrum is farther from the photographed ones than nine tenths of these were from each
    other. Same key, same bits. Raises InputError for shapes that differ and for fewer than 300 pixels to learn from.
    """
    lit = _checked(embedded, photo, taught)
    photo = np.where(taught[..., None], photo, photo.dtype.type(0))  # a loss that weighs NaN with nothing is NaN
    parts = photo_blocks(lit, rng=rng_of(0, key=key))
    pupil = _pupil(embedded, recolourer, photo, config=config, key=key, progress=progress)
    learn, choose, report = parts
    tried = []
    for way in pupil.ways:
        seen, steps = pupil.painted(way, learn, held_out=choose)
        tried.append((Trial(way, _apart(seen, photo, choose), _apart(seen, photo, report)), seen, steps))
    best, seen, steps = min(tried, key=lambda one: one[0].chosen_by)
    held = choose | report
    error, trust = _expected(pupil.features, _differences(seen, photo), learn=learn, held=held)
    rgb, _ = pupil.painted(best.way, lit, steps=steps)
    shown = taught if fill else np.zeros_like(taught)
    sizes = int(learn.sum()), int(choose.sum()), int(report.sum())
    colours = _shown(Recoloured(rgb, error, trust), photo, shown, embedded.answered)
    return Taught(colours, shown, best.way, tuple(one[0] for one in tried), sizes)


def photo_blocks(taught: np.ndarray, *, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Cut the pixels of a photograph into square blocks, to learn from, to choose by and to report on.

    taught: bool [y, x]. About forty blocks; three bool [y, x] that share 60, 20 and 20 % of the pixels. Raises
    InputError for fewer than 300 pixels.
    """
    if (pixels := int(taught.sum())) < FEWEST:
        raise InputError(
            f"a photograph teaches from {FEWEST} pixels of the scan on; found {pixels} that it shows well. "
            "Check the control points and the mask"
        )
    side = max(2, int(np.sqrt(pixels / BLOCKS)))
    y, x = np.indices(taught.shape) // side
    number = y * (int(x.max()) + 1) + x
    sizes = np.bincount(number[taught], minlength=int(number.max()) + 1)
    order = rng.permutation(np.flatnonzero(sizes))
    before = np.cumsum(sizes[order]) - sizes[order] / 2
    sort = np.full(len(sizes), -1)
    sort[order] = np.searchsorted(np.cumsum(SHARES[:-1]) * pixels, before)
    which = np.where(taught, sort[number], -1)
    return which == 0, which == 1, which == 2


def in_words(taught: Taught) -> list[str]:
    """Return sentences on what the photograph taught: the way, the difference before and after, the pixels."""
    (learn, _, report), learned = taught.pixels, taught.way != PLAIN
    after, before = taught.reported(taught.way), taught.reported(PLAIN)
    told = f"mean CIEDE2000 {after:.1f}" + (f" instead of {before:.1f}" if learned and np.isfinite(before) else "")
    faded = "the colours are those of the photograph's time: what has faded there is recoloured as faded"
    return [
        f"{WAYS[taught.way]}: on blocks of the photograph that were held out, {told} ({learn} pixels to learn from, "
        f"{report} held out)",
        *[faded] * learned,
    ]


def as_record(taught: Taught) -> dict[str, Any]:
    """Return what to keep beside the maps: the way, all trials, the numbers of pixels."""
    return {"way": taught.way, "trials": [trial._asdict() for trial in taught.trials], "pixels": list(taught.pixels)}


@dataclass(frozen=True)
class _Pupil:
    """All that the ways to learn share."""

    embedded: EmbeddedCube
    recolourer: Recolourer | None
    photo: np.ndarray
    plain: np.ndarray | None
    """What the recolourer makes of the scan, sRGB [y, x, 3]; 0 without an answer."""
    features: np.ndarray
    config: PhotoTeaching
    key: Any
    progress: Progress

    @property
    def ways(self) -> tuple[str, ...]:
        """Those that can be tried."""
        ways = tuple(way for way in self.config.ways if self.recolourer is not None or way in SPECTRAL)
        if not ways:
            raise InputError(
                f"without weights only {', '.join(SPECTRAL)} learn from a photograph; found {self.config.ways}"
            )
        return ways

    def painted(
        self, way: str, learn: np.ndarray, *, held_out: np.ndarray | None = None, steps: int = 0
    ) -> tuple[np.ndarray, int]:
        """Return the picture by one way, float32 [y, x, 3], and after how many steps its network was best.

        held_out: where a network looks when to stop; None: it takes just so many steps, at 0 it stays as it is.
        """
        if way in SPECTRAL:
            return SPECTRAL[way](self.features, self.photo, learn), 0
        if self.recolourer is None or self.plain is None:
            raise InputError(f"the way {way} needs a recolourer. Give weights")
        if way == CORRECTED:
            return corrected_colours(self.plain, self.photo, learn), 0
        if way == PLAIN or (held_out is None and steps == 0):
            return self.plain, 0
        options: dict[str, Any] = {"learn": learn, "held_out": held_out, "stop": steps or None}
        options |= {"config": self.config.tuning, "key": jax.random.fold_in(self.key, 1), "progress": self.progress}
        shown = np.where(self.embedded.answered[..., None], self.embedded.features, np.float32(0))
        found = finetuned(self.recolourer, shown, self.photo, **options)
        return _plain(found.recolourer, self.embedded, self.progress), found.steps


def _pupil(
    embedded: EmbeddedCube, recolourer: Recolourer | None, photo: np.ndarray, *, config: PhotoTeaching,
    key: PRNGKeyArray, progress: Progress,
) -> _Pupil:  # fmt: skip
    plain = None if recolourer is None else _plain(recolourer, embedded, progress)
    features = pixel_features(embedded.features, embedded.answered, plain)
    return _Pupil(embedded, recolourer, photo, plain, features, config, key, progress)


def _plain(recolourer: Recolourer, embedded: EmbeddedCube, progress: Progress) -> np.ndarray:
    found = recolour(recolourer, embedded.features, valid=embedded.answered, progress=progress)
    return np.nan_to_num(found.rgb)


def _differences(seen: np.ndarray, photo: np.ndarray) -> np.ndarray:
    return colour_difference(srgb_to_lab(seen), srgb_to_lab(photo)).astype(np.float32)


def _apart(seen: np.ndarray, photo: np.ndarray, where: np.ndarray) -> float:
    return float(_differences(seen[where], photo[where]).mean())


def _expected(
    features: np.ndarray, apart: np.ndarray, *, learn: np.ndarray, held: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Expected CIEDE2000 and trust, float32 [y, x], from the differences of held-out pixels with similar features."""
    main = alike(features, learn | held)
    rows = thinned_rows(held)
    known = apart.ravel()[rows]
    _, found = nearest(main[rows], main, ALIKE)
    far = nearest(main[thinned_rows(learn)], main, NEAR)[0].mean(axis=1)
    usual = np.sort(far[rows])
    rank = np.searchsorted(usual, far, side="left") / len(usual)
    trust = (known[found] <= RIGHT).mean(axis=1) * familiar(rank)
    error = known[found].mean(axis=1)
    return error.reshape(held.shape).astype(np.float32), trust.reshape(held.shape).astype(np.float32)


def _shown(colours: Recoloured, photo: np.ndarray, shown: np.ndarray, answered: np.ndarray) -> Recoloured:
    """Colours with the photograph where it is shown, and NaN where there is neither it nor an answer."""
    rgb = np.where(shown[..., None], photo, colours.rgb).astype(np.float32)
    error = np.where(shown, 0, colours.error).astype(np.float32)
    trust = np.where(shown, 1, colours.trust).astype(np.float32)
    for image in (rgb, error, trust):
        image[~(shown | answered)] = np.nan
    return Recoloured(rgb, error, trust)


def _checked(embedded: EmbeddedCube, photo: np.ndarray, taught: np.ndarray) -> np.ndarray:
    """Pixels that can teach: the photograph shows them and their spectrum has an answer."""
    shape = embedded.answered.shape
    if photo.shape != (*shape, 3) or taught.shape != shape:
        raise InputError(
            f"the photograph and its mask must lie on the {shape[0]} x {shape[1]} pixels of the scan; "
            f"found {photo.shape} and {taught.shape}. Register it first"
        )
    return taught & embedded.answered
