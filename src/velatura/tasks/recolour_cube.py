"""A scan recoloured: how the painting may have looked, how far that can be trusted, and what lies beneath.

Counts of each pixel come onto the embedder's energy grid as whole numbers, so that they stay Poisson, and are embedded
in bands of rows; the recolourer then works on the embedded cube, a few numbers a pixel, by overlapping tiles. Memory is
bounded by a band of the scan and the embedded cube.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import xarray as xr

from velatura.base.errors import InputError
from velatura.base.progress import Progress, silent
from velatura.base.workspace import plain

if TYPE_CHECKING:
    from velatura.tasks.embedding_model import Embedder
    from velatura.tasks.recolour_model import Recoloured, Recolourer

STAMP = "A hypothesis, not evidence: colours that simulated paintings suggest for these X-ray spectra."
"""Stands on every image and in every file of colours."""
PHOTO_STAMP = STAMP.replace("paintings suggest", "paintings and a photograph suggest")
"""The same where a photograph of the painting gave colours."""
LITTLE = 0.3  # mean trust below which a whole picture is not to be trusted
IMAGE, COLOURS = ("y", "x"), ("red", "green", "blue")


@dataclass(frozen=True)
class Recolouring:
    """How to recolour. The defaults suit a painting."""

    model: str = "velatura"
    """velatura, paper (as published), or a file of weights from `velatura train recolour`."""
    embedding: str | None = None
    """Of the spectra: velatura, paper, pigments or a file of `velatura train embedding`; by default the model's own."""
    least_counts: int = 50
    """Counts on the embedding's energies below which a pixel gets no colour."""

    def __post_init__(self) -> None:
        if self.least_counts < 1:
            raise InputError(f"least counts must be 1 or more; found {self.least_counts}")


class EmbeddedCube(NamedTuple):
    """A scan as the recolourer sees it."""

    features: np.ndarray
    """Standardised, float32 [y, x, feature]; 0 without an answer."""
    strangeness: np.ndarray
    """Share of training spectra that are less strange, float32 [y, x]; 1 without an answer."""
    answered: np.ndarray
    """Pixels with data and enough counts, bool [y, x]."""


def recolour_cube(
    cube: xr.Dataset,
    config: Recolouring = Recolouring(),
    *,
    pigments: xr.Dataset | None = None,
    seed: int = 0,
    progress: Progress = silent,
) -> xr.Dataset:
    """Return a scan recoloured: a Dataset as docs/results.md describes `maps/recolour`.

    cube: see `make_cube`; pigments: the scan's result of `identify`, without which nothing is said of a paint beneath
    and of colours that cannot be seen; seed: of the draws that bring counts onto the grid. Raises InputError where
    there are no such weights, and where model and embedding do not belong together.
    """
    recolourer, embedder = load_pair(config)
    embedded = embed_cube(cube, embedder, least_counts=config.least_counts, seed=seed, progress=progress)
    maps = recolour_embedded(embedded, recolourer, pigments=pigments, progress=progress)
    return with_record(maps, cube, (recolourer, embedder), parameters={**asdict(config), "seed": seed})


def with_record(
    maps: xr.Dataset, cube: xr.Dataset, pair: tuple["Recolourer", "Embedder"], *, parameters: Mapping[str, Any],
    notes: Sequence[str] = (),
) -> xr.Dataset:  # fmt: skip
    """Return the colours of a cube with the attributes that tell how they were made, JSON texts.

    They are the parameters, the notes (those given, then what the scan lacks around those of the maps), and the cards
    of both models.
    """
    from velatura.tasks.identify import axis_notes

    recolourer, embedder = pair
    window = embedder.low, embedder.high
    lacking = axis_notes(cube, window, so="the colours rest on less than it has learned from")
    left_out, least = int(np.isnan(maps.rgb.values[..., 0]).sum()), parameters["least_counts"]
    empty = f"{left_out} pixels without data or with fewer than {least} counts got no colour"
    told = {
        "parameters": {**parameters, "embedding": embedder.name},
        "notes": [*notes, *lacking, *json.loads(maps.attrs["notes"]), *[empty] * bool(left_out)],
        "card": {"recolourer": asdict(recolourer.card), "embedder": asdict(embedder.card)},
    }
    return maps.assign_attrs({name: json.dumps(plain(value)) for name, value in told.items()})


def load_pair(config: Recolouring) -> tuple["Recolourer", "Embedder"]:
    """Return the recolourer and the embedder that a configuration asks for.

    Raises InputError where there are none, and where the embedder is not that of the model's training, or, where the
    model does not tell which that was, gives another number of features.
    """
    from velatura.tasks.recolour_model import embedder_for, load_recolourer

    recolourer = load_recolourer(config.model)
    embedder = embedder_for(recolourer, config.embedding)
    if embedder.features != recolourer.features:
        raise InputError(
            f"the model {config.model!r} needs {recolourer.features} features of the embedding "
            f"{recolourer.embedder!r}; {embedder.name!r} gives {embedder.features}. Leave out --embedding"
        )
    return recolourer, embedder


def embed_cube(
    cube: xr.Dataset, embedder: "Embedder", *, least_counts: int = 50, seed: int = 0, progress: Progress = silent
) -> EmbeddedCube:
    """Return a cube embedded band by band; seed: of the draws that bring counts onto the embedder's grid."""
    from velatura.tasks.embedding_model import embed_and_judge
    from velatura.tasks.identify import ahead, rows_on_grid

    valid = cube.valid.values
    width = valid.shape[1]
    features = np.zeros((*valid.shape, embedder.features), np.float32)
    strangeness, answered = np.ones(valid.shape, np.float32), np.zeros(valid.shape, bool)
    for rows, counts in ahead(rows_on_grid(cube, embedder.energies, seed=seed)):
        progress("embedding", rows.start * width, valid.size)
        here = (counts.sum(axis=1) >= least_counts).reshape(-1, width) & valid[rows]
        if here.any():
            features[rows][here], strangeness[rows][here] = embed_and_judge(embedder, counts[here.ravel()])
        answered[rows] = here
    progress("embedding", valid.size, valid.size)
    return EmbeddedCube(features, strangeness, answered)


def recolour_embedded(
    embedded: EmbeddedCube, recolourer: "Recolourer", *, pigments: xr.Dataset | None = None, progress: Progress = silent
) -> xr.Dataset:
    """Return the maps of an embedded cube, with notes and regions but without parameters."""
    from velatura.tasks.recolour_model import recolour

    answered = embedded.answered
    options = {"strangeness": embedded.strangeness, "valid": answered, "progress": progress}
    found = recolour(recolourer, embedded.features, **options)
    return coloured_maps(found, answered, pigments=pigments)


def coloured_maps(found: "Recoloured", answered: np.ndarray, *, pigments: xr.Dataset | None = None) -> xr.Dataset:
    """Return colours with what identification tells of them; answered: pixels that have one, bool [y, x]."""
    from velatura.tasks.recolour_hidden import hidden_colours
    from velatura.tasks.unseen_colours import in_short, in_words, unseen_colours, unseen_pigments

    rgb = np.where(answered[..., None], found.rgb, np.float32(np.nan))
    trust = np.where(answered, np.nan_to_num(found.trust), np.float32(0))
    maps: dict[str, Any] = {
        "rgb": ((*IMAGE, "colour"), rgb),
        "error": (IMAGE, np.where(answered, found.error, np.float32(np.nan)), {"units": "CIEDE2000"}),
        "trust": (IMAGE, trust),
    }
    notes, regions = trust_notes(trust, answered), ()
    if pigments is None:
        notes.append("no pigments were identified: nothing is said of a paint beneath and of colours that X-rays miss")
    else:
        hidden, asked = hidden_colours(pigments), json.loads(pigments.attrs["parameters"])
        maps["hidden_rgb"] = ((*IMAGE, "colour"), hidden.rgb)
        maps["hidden_trust"] = (IMAGE, hidden.trust)
        unseen = unseen_pigments(asked)
        if "regions" in pigments:
            evidence = json.loads(pigments.attrs["evidence"])
            regions = unseen_colours(pigments, rgb, trust, rows=evidence, unseen=in_short(unseen))
            maps["invisible"] = (IMAGE, _within(pigments, [row.region for row in regions if row.open]))
        notes += hidden.notes
        notes += [f"no scan in air shows these, and a colour may be theirs: {in_words(unseen)}"] * bool(unseen)
    result = xr.Dataset(maps, {"colour": list(COLOURS)})
    told = {"notes": json.dumps(notes), "regions": json.dumps([row._asdict() for row in regions])}
    return result.assign_attrs(stamp=STAMP, **told)


def trust_notes(trust: np.ndarray, answered: np.ndarray) -> list[str]:
    """Return a sentence where most of the picture should not be trusted."""
    mean = float(trust[answered].mean()) if answered.any() else 0.0
    if mean >= LITTLE:
        return []
    return [
        f"the mean trust is {mean:.2f}: these spectra are hardly those of a painting, or not like the simulated ones; "
        "do not take the colours for more than decoration"
    ]


def _within(pigments: xr.Dataset, names: Sequence[str]) -> np.ndarray:
    """Pixels of some regions, bool [y, x]."""
    numbers = [number for number, name in enumerate(pigments.region.values.tolist()) if name in names]
    return np.isin(pigments.regions.values, numbers)
