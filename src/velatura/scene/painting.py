"""A painting as a value: sheets of paint from the support to the surface, each with labels and thickness at each pixel.

Every method returns a new painting, so one ground can be shared by many pictures.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.ndimage import gaussian_filter

from velatura.base.errors import InputError, did_you_mean
from velatura.physics.material import Paint

NOTHING = -1  # label where a sheet has no paint
KINDS = ("support", "ground", "pentimento", "passages", "overpaint", "glaze", "retouch", "varnish")
COVERING = ("passages", "overpaint", "retouch")  # what lies beneath these is hidden
LARGEST_VARIATION = 0.45  # of the mean thickness
PICTURE = ("pentimento", "passages", "overpaint", "glaze", "retouch")  # what can be hidden


@dataclass(frozen=True, eq=False)
class Passage:
    """One paint, where it lies and how thick."""

    paint: Paint
    thickness: float | np.ndarray
    """[um], a number or [y, x]; pixels of zero thickness have no paint."""
    area: np.ndarray | None = None
    """bool [y, x]; None: everywhere."""


@dataclass(frozen=True, eq=False)
class Sheet:
    """Paints that lie side by side at one depth of a painting."""

    name: str
    kind: str
    """One of KINDS."""
    paints: tuple[Paint, ...]
    labels: np.ndarray
    """Which of the paints, int16 [y, x]; -1 where there is none."""
    thickness: np.ndarray
    """float32 [y, x] (um); 0 where there is none."""


@dataclass(frozen=True, eq=False)
class Painting:
    """Sheets of paint, support first, on `shape` (height, width) pixels of `pitch` [mm]."""

    shape: tuple[int, int]
    pitch: float = 1.0
    sheets: tuple[Sheet, ...] = ()

    def __post_init__(self) -> None:
        if len(self.shape) != 2 or min(self.shape) < 1:
            raise InputError(f"a painting needs a height and a width of 1 pixel or more; found {self.shape}")
        if not 0 < self.pitch < np.inf:
            raise InputError(f"the pitch must be a positive length in mm; found {self.pitch:g}")

    def sheet(self, kind: str, passages: Sequence[Passage], *, name: str = "") -> "Painting":
        """Return the painting with one more sheet on top.

        name: by default the kind, with a number where that is taken.
        Raises InputError for an unknown kind, a name that is taken, passages that overlap, areas or thicknesses of
        another shape, and thicknesses that are negative or not finite.
        """
        if kind not in KINDS:
            raise InputError(f"no kind of layer {kind!r}; known are {', '.join(KINDS)}{did_you_mean(kind, KINDS)}")
        taken = [sheet.name for sheet in self.sheets]
        if name in taken:
            raise InputError(f"two layers are called {name!r}. Give each a name of its own")
        name = name or _free_name(kind, taken)
        return replace(self, sheets=(*self.sheets, _joined(name, kind, passages, self.shape)))

    def support(self, paint: Paint, *, thickness: float | np.ndarray) -> "Painting":
        """Return the painting on a support [um]."""
        return self.sheet("support", [Passage(paint, thickness)])

    def ground(self, paint: Paint, *, thickness: float | np.ndarray, name: str = "") -> "Painting":
        """Return the painting with a ground all over [um]."""
        return self.sheet("ground", [Passage(paint, thickness)], name=name)

    def passages(self, *passages: Passage, name: str = "") -> "Painting":
        """Return the painting with paints side by side."""
        return self.sheet("passages", passages, name=name)

    def pentimento(self, *passages: Passage, name: str = "") -> "Painting":
        """Return the painting with an earlier version, to be painted over."""
        return self.sheet("pentimento", passages, name=name)

    def overpaint(self, *passages: Passage, name: str = "") -> "Painting":
        """Return the painting with paint that hides what lies below."""
        return self.sheet("overpaint", passages, name=name)

    def glaze(self, *passages: Passage, name: str = "") -> "Painting":
        """Return the painting with transparent paint."""
        return self.sheet("glaze", passages, name=name)

    def retouch(self, *passages: Passage, name: str = "") -> "Painting":
        """Return the painting with later repairs."""
        return self.sheet("retouch", passages, name=name)

    def varnish(self, paint: Paint, *, thickness: float | np.ndarray, name: str = "") -> "Painting":
        """Return the painting under a varnish all over [um]."""
        return self.sheet("varnish", [Passage(paint, thickness)], name=name)

    def hidden(self) -> np.ndarray:
        """Tell where a sheet's paint lies beneath opaque paint, bool [sheet, y, x]; never support and ground."""
        hidden = np.zeros((len(self.sheets), *self.shape), bool)
        above = np.zeros(self.shape, bool)
        for number in reversed(range(len(self.sheets))):
            sheet = self.sheets[number]
            there = sheet.labels != NOTHING
            if sheet.kind in PICTURE:
                hidden[number] = there & above
            if sheet.kind in COVERING:
                above |= there
        return hidden


def varied_thickness(
    mean: float | np.ndarray, shape: tuple[int, int], *, relative: float, scale: float, rng: np.random.Generator
) -> np.ndarray:
    """Return a thickness float32 [y, x] that wanders smoothly about its mean [um], by no more than twice `relative`.

    relative: standard deviation over the mean, 0 to 0.45; scale: correlation length [pixels].
    """
    if not 0 <= relative <= LARGEST_VARIATION:
        raise InputError(f"a variation is relative to the thickness, 0 to {LARGEST_VARIATION}; found {relative:g}")
    field = gaussian_filter(rng.normal(size=shape), scale, mode="reflect")
    field = (field - field.mean()) / max(float(field.std()), 1e-12)
    return (mean * (1 + relative * 2 * np.tanh(field / 2))).astype(np.float32)


def _free_name(kind: str, taken: Sequence[str]) -> str:
    number = 2
    name = kind
    while name in taken:
        name, number = f"{kind} {number}", number + 1
    return name


def _joined(name: str, kind: str, passages: Sequence[Passage], shape: tuple[int, int]) -> Sheet:
    """Lay passages side by side; equal paints become one label."""
    if not passages:
        raise InputError(f"layer {name!r} has no passage. Give it a paint and a thickness")
    paints: list[Paint] = []
    labels, owner = np.full(shape, NOTHING, np.int16), np.full(shape, NOTHING, np.int16)
    whole = np.zeros(shape, np.float32)
    for number, passage in enumerate(passages):
        where = f"{passage.paint.name!r} in layer {name!r}"
        area, thickness = _checked(passage, where, shape)
        if (both := area & (owner != NOTHING)).any():
            first = int(owner[both][0])
            raise InputError(
                f"passage {number + 1} ({passage.paint.name!r}) of layer {name!r} overlaps passage {first + 1} "
                f"({passages[first].paint.name!r}) on {int(both.sum())} pixels. "
                "Paints of one layer lie side by side: change an area, or put one of them in a layer of its own"
            )
        if passage.paint not in paints:
            paints.append(passage.paint)
        owner[area], labels[area], whole[area] = number, paints.index(passage.paint), thickness[area]
    for array in (labels, whole):
        array.flags.writeable = False
    return Sheet(name, kind, tuple(paints), labels, whole)


def _checked(passage: Passage, where: str, shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Area bool [y, x] with paint in it, and thickness float32 [y, x]."""
    thickness = np.asarray(passage.thickness, np.float32)
    area = np.ones(shape, bool) if passage.area is None else np.asarray(passage.area)
    for what, array in (("area", area), ("thickness", thickness)):
        if array.shape != shape and not (what == "thickness" and array.ndim == 0):
            raise InputError(f"the {what} of {where} must have the painting's shape {shape}; found {array.shape}")
    if area.dtype != bool:
        raise InputError(f"the area of {where} must be true or false in each pixel; found {area.dtype}")
    thickness = np.broadcast_to(thickness, shape)
    inside = thickness[area]
    if not np.all(np.isfinite(inside)) or np.min(inside, initial=0.0) < 0:
        raise InputError(
            f"the thickness of {where} must be 0 um or more; found {float(np.min(inside, initial=np.inf)):g} um"
        )
    return area & (thickness > 0), thickness
