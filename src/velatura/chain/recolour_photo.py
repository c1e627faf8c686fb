"""From a scan and a photograph of the painting to its colours: registered, learned from, stored as maps/recolour."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from velatura.base.errors import InputError
from velatura.base.progress import Progress, silent
from velatura.base.workspace import Workspace, plain, read_cube
from velatura.chain.identify import pigments_of
from velatura.chain.recolour import RESULT, inputs_of
from velatura.chain.steps import file_hash, settled
from velatura.imaging.registration import Registration, placed, refined, register_points, register_resized, warped
from velatura.io.control_points import read_control_points
from velatura.io.mask import read_mask
from velatura.io.photograph import read_photograph
from velatura.tasks.recolour_cube import (
    PHOTO_STAMP,
    STAMP,
    Recolouring,
    coloured_maps,
    embed_cube,
    load_pair,
    with_record,
)

if TYPE_CHECKING:
    from velatura.tasks.recolour_photo import PhotoTeaching, Taught

IMAGE = ("y", "x")


@dataclass(frozen=True)
class Photograph:
    """A photograph that teaches the colours, and how."""

    photo: Path | None = None
    """Photograph of the painting or a part of it (PNG, JPEG, TIFF) that teaches its colours."""
    points: Path | None = None
    """Control points: CSV x_scan,y_scan,x_photo,y_photo, three or more; by default the photo shows just the scan."""
    mask: Path | None = None
    """Image of the scan's or the photo's size: bright pixels teach, black ones (lost, overpainted) do not."""
    fill: bool = False
    """Recolour only what the photograph does not show, or the mask leaves out; the rest shows the photograph."""
    align: bool = False
    """Move the photograph by up to 4 % to where the spectra explain its colours best."""

    def __post_init__(self) -> None:
        if self.photo is None and (self.points or self.mask or self.fill or self.align):
            raise InputError("control points, mask, fill and align belong to a photograph. Give one: --photo FILE")

    def file(self) -> Path:
        """Return the photograph's file. Raises InputError where there is none."""
        if self.photo is None:
            raise InputError("asked for colours by a photograph; found none. Give a PNG, JPEG or TIFF file")
        return self.photo


def recolour_by_photo(
    workspace: Workspace,
    photograph: Photograph,
    config: Recolouring = Recolouring(),  # noqa: B008
    *,
    teaching: "PhotoTeaching | None" = None,
    seed: int = 0,
    progress: Progress = silent,
) -> xr.Dataset:
    """Return the colours of a workspace's cube, taught by a photograph (docs/results.md, maps/recolour).

    As `map_colours`, and: `photo_rgb` float32 [y, x, colour], the photograph on the pixels of the scan (NaN where it
    shows nothing), `photo_taught` bool [y, x], pixels that taught, `photo_shown` bool [y, x], pixels of `rgb` that are
    the photograph's own; the attribute `photo` tells of registration and trials. teaching: by default that of
    `PhotoTeaching`. An earlier result of the same inputs is returned. Raises InputError where there are no weights, no
    photograph, and where points or mask do not fit.
    """
    photograph.file()  # before anything is read
    cube, pigments = read_cube(workspace), pigments_of(workspace)
    files = (photograph.photo, photograph.points, photograph.mask)
    inputs = inputs_of(cube, pigments, config, seed=seed) | {
        "photo": [file_hash(path) for path in files],
        "options": [photograph.fill, photograph.align, None if teaching is None else asdict(teaching)],
    }

    def make() -> xr.Dataset:
        return _made(cube, photograph, config, pigments=pigments, teaching=teaching, seed=seed, progress=progress)

    return settled(workspace, RESULT, inputs, make=make)


def _made(
    cube: xr.Dataset, photograph: Photograph, config: Recolouring, *, pigments: xr.Dataset | None,
    teaching: "PhotoTeaching | None", seed: int, progress: Progress,
) -> xr.Dataset:  # fmt: skip
    import jax

    from velatura.tasks.recolour_photo import PhotoTeaching, as_record, in_words, recolour_by_photo

    picture, shape = read_photograph(photograph.file()), cube.valid.shape
    registration = _registered(photograph, picture.shape[:2], shape)
    used = _used(photograph.mask, registration, picture.shape[:2], shape)
    recolourer, embedder = load_pair(config)
    embedded = embed_cube(cube, embedder, least_counts=config.least_counts, seed=seed, progress=progress)
    shares = None
    if photograph.align:
        progress("aligning the photograph", 0, 1)
        options = {"used": used & embedded.answered}
        registration, *shares = refined(registration, picture, embedded.features, **options)
        used = _used(photograph.mask, registration, picture.shape[:2], shape)
    rgb, covered = warped(picture, registration, shape)
    found = recolour_by_photo(
        embedded, recolourer, rgb, taught=covered & used, fill=photograph.fill, config=teaching or PhotoTeaching(),
        key=jax.random.key(seed), progress=progress,
    )  # fmt: skip
    maps = coloured_maps(found.colours, embedded.answered | found.shown, pigments=pigments)
    notes = [*in_words(found), _registration_in_words(registration)]
    parameters = {**asdict(config), **asdict(photograph), "seed": seed}
    maps = with_record(maps, cube, (recolourer, embedder), parameters=parameters, notes=notes)
    photo = {**as_record(found), **registration._asdict(), "explained": shares}
    stamp = PHOTO_STAMP if found.by_photo else STAMP
    maps = maps.assign_attrs(photo=json.dumps(plain(photo)), stamp=stamp)
    return maps.assign(_photo_maps(rgb, covered, found, covered & used & embedded.answered))


def _photo_maps(rgb: np.ndarray, covered: np.ndarray, found: "Taught", taught: np.ndarray) -> dict[str, Any]:
    return {
        "photo_rgb": ((*IMAGE, "colour"), np.where(covered[..., None], rgb, np.float32(np.nan))),
        "photo_taught": (IMAGE, taught),
        "photo_shown": (IMAGE, found.shown),
    }


def _registered(photograph: Photograph, photo_shape: tuple[int, int], shape: tuple[int, int]) -> Registration:
    if photograph.points is None:
        return register_resized(photo_shape, shape)
    return register_points(*read_control_points(photograph.points))


def _registration_in_words(registration: Registration) -> str:
    if not len(registration.residuals):
        return f"the photograph was taken to show just the scan ({registration.kind})"
    told = f"residuals {registration.residuals.mean():.2f} pixels of the scan on average"
    if len(registration.left_out):
        told += f", {registration.left_out.mean():.2f} for points left out of the fit"
    return f"the photograph was registered by {len(registration.residuals)} points ({registration.kind}): {told}"


def _used(
    mask: Path | None, registration: Registration, photo_shape: tuple[int, int], shape: tuple[int, int]
) -> np.ndarray:
    """Pixels of the scan that a mask leaves in, bool [y, x]; the mask lies on the scan's or the photograph's pixels."""
    if mask is None:
        return np.ones(shape, bool)
    drawn = read_mask(mask, shape, photo=photo_shape)
    if drawn.shape == shape:
        return drawn
    places = placed(registration.matrix, shape)
    x, y = np.rint(np.nan_to_num(places, nan=-1.0)).astype(int).transpose(2, 0, 1)
    tall, wide = photo_shape
    inside = (x >= 0) & (y >= 0) & (x < wide) & (y < tall)
    return inside & drawn[y.clip(0, tall - 1), x.clip(0, wide - 1)]
