"""Simulated scans on disk: a workspace like that of a measured scan, with the truth beside it as maps/truth."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import xarray as xr

from velatura.base.errors import InputError
from velatura.base.progress import Progress, silent
from velatura.base.workspace import Workspace, create_workspace, write_maps
from velatura.io.library import read_library
from velatura.physics.instrument import Instrument
from velatura.scene.ganx import (
    CHANNELS,
    WINDOW,
    GanxOptions,
    GanxScan,
    choose_colours,
    every_colour,
    ganx_cube,
    resample,
)
from velatura.scene.scan import Simulated, scan_painting
from velatura.scene.scene_file import read_scene

TRUTH = "truth"


@dataclass(frozen=True)
class Picture:
    """How a picture becomes a scan."""

    method: Literal["layers", "ganx"] = "layers"
    """layers: physics of paint on canvas; ganx: counts drawn from mixed library spectra, as published."""
    palette: str = "recolouring12"
    """recolouring12, all, pigments with commas between, or (ganx) a palette file or folder of measured spectra."""
    colours: int | None = None
    """Colours that the picture is reduced to, by default 24 (ganx: 10); some numbers near it are tried; 0 keeps all."""
    size: int = 400
    """Longest side [pixels]; larger pictures are reduced."""
    pitch: float = 0.5
    """Step of the simulated scanner [mm]."""
    threshold: float = 0.2
    """ganx: pigments less alike than this are left out of a mixture."""
    window: tuple[float, float] = WINDOW
    """ganx: energies from and to [keV]."""
    channels: int = CHANNELS
    """ganx: bins of that window."""

    def __post_init__(self) -> None:
        low, high = self.window
        if not (low < high and self.channels >= 2):
            raise InputError(
                f"the window must rise and hold 2 channels or more; found {low:g} to {high:g} keV, {self.channels}"
            )


def simulate_scene(
    scene: Path, output: Path, *, instrument: Instrument | None = None, counts: float | None = None,
    seed: int | None = None, progress: Progress = silent,
) -> Workspace:  # fmt: skip
    """Simulate the scan of a scene file (docs/scenes.md) into a new workspace; None: as the scene says."""
    found = read_scene(scene)
    scan = scan_painting(
        found.painting, instrument or found.instrument, counts=found.counts if counts is None else counts,
        rng=np.random.default_rng(found.seed if seed is None else seed), beam=found.beam, progress=progress,
    )  # fmt: skip
    return _written(output, scan, f"simulated from {Path(scene).name}", progress)


def simulate_picture(
    image: Path, output: Path, options: Picture, *, instrument: Instrument, counts: float, seed: int,
    progress: Progress = silent,
) -> Workspace:  # fmt: skip
    """Simulate the scan of a painting that looks like `image`, into a new workspace."""
    from velatura.scene.image_paint import library_of, named_palette, paint_image

    rng = np.random.default_rng(seed)
    rgb = read_picture(image, options.size)
    source = f"simulated from {Path(image).name}, {options.method}"
    if options.method == "ganx":
        bins = {"window": options.window, "channels": options.channels}
        if Path(options.palette).exists():
            palette = resample(read_library(options.palette), **bins)
        else:
            palette = library_of(named_palette(options.palette), instrument, **bins)
        ganx = GanxOptions(colours=_colours(options), threshold=options.threshold, counts=int(counts))
        return _written(output, ganx_cube(rgb, palette, ganx, rng=rng, progress=progress), source, progress)
    number = _colours(options)
    colours = choose_colours(rgb, start=number, rng=rng) if number else every_colour(rgb)
    painting = paint_image(colours, named_palette(options.palette), pitch=options.pitch, rng=rng)
    scan = scan_painting(painting, instrument, counts=counts, rng=rng, progress=progress)
    return _written(output, scan, source, progress)


def read_picture(image: Path, size: int) -> np.ndarray:
    """Read a picture as uint8 [y, x, 3], its longest side at most `size` pixels. Raises InputError for what is none."""
    from PIL import Image, ImageOps, UnidentifiedImageError

    if size < 2:
        raise InputError(f"the longest side must be 2 pixels or more; found {size}")
    try:
        with Image.open(image) as opened:
            picture = ImageOps.exif_transpose(opened).convert("RGB")
    except (OSError, UnidentifiedImageError, Image.DecompressionBombError) as error:
        raise InputError(f"{image} cannot be read as a picture: {error}. Give a JPEG, PNG or TIFF file") from error
    picture.thumbnail((size, size), Image.Resampling.LANCZOS)
    return np.asarray(picture)


def _colours(options: Picture) -> int:
    usual = {"layers": 24, "ganx": 10}[options.method]
    return usual if options.colours is None else options.colours


def _written(output: Path, scan: Simulated | GanxScan, source: str, progress: Progress) -> Workspace:
    cube: xr.Dataset = scan.cube
    cube = cube.assign(counts=cube.counts.assign_attrs(source=source))
    workspace = create_workspace(output, cube, progress=progress)
    write_maps(workspace, TRUTH, scan.truth, record={"source": source})
    return workspace
