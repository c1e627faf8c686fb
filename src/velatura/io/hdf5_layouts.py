"""Where the spectra are in an HDF5 file: NeXus default, layouts of known programs, else the largest set that fits.

Sources of the layouts: NeXus manual (NXdata); documentation and files of PyMca, PyXRF, XRF-Maps, Larch, Crono, ganX.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

from velatura.base.errors import FileFormatError, InputError, did_you_mean
from velatura.io.axes import LEAST_CHANNELS, work_out_axes
from velatura.io.options import ReadOptions

COLOURS = 4  # a last axis this short is one of colours or coordinates
SHOWN = 8  # sets listed in a message
ENERGY_NAMES = re.compile(r"energ|channel|mca|bin", re.IGNORECASE)


@dataclass(frozen=True)
class Layout:
    """How one program arranges a scan."""

    program: str
    detectors: str
    """Pattern of the whole paths of the sets of counts, one a detector."""
    axes: str | None = None
    """Order of the axes in letters d, y, x, e; None works it out."""
    summed: str | None = None
    """Path of the set in which the program has already summed the detectors."""
    index: str | None = None
    """Path of a set [y, x, ...] that says which spectrum of a list [spectrum, channel] belongs to each pixel."""


LAYOUTS = (
    Layout("PyXRF", r"/xrfmap/det\d+/counts", "yxe", summed="/xrfmap/detsum/counts"),
    Layout("Larch", r"/xrmmap/(?:mca|det)\d+/counts", "yxe", summed="/xrmmap/mcasum/counts"),
    Layout("XRF-Maps", r"/MAPS/mca_arr", "eyx", summed="/MAPS/Spectra/mca_arr"),
    Layout("APS fly scan", r"/MAPS_RAW/data_[a-z]", "eyx"),
    Layout("Bruker Crono", r"/XRF/Spectra", index="/XRF/SpectraSelectedIndex"),
    Layout("ganX", r"/img"),
)


@dataclass(frozen=True)
class Part:
    """The counts of one detector in a file."""

    name: str
    path: str
    axes: str
    """Letters of the stored axes; "e" for a list of spectra that `index` or a width arranges."""
    detector: int | None = None
    """Which one along the axis d."""
    index: str | None = None


def list_sets(file: Any) -> dict[str, Any]:
    """Return all data sets of numbers by their absolute path."""
    import h5py

    found: dict[str, Any] = {}

    def take(name: str, node: Any) -> None:
        if isinstance(node, h5py.Dataset) and node.shape is not None and node.dtype.kind in "iuf" and node.size:
            found[f"/{name}"] = node

    file.visititems(take)
    return found


def locate(file: Any, sets: Mapping[str, Any], options: ReadOptions) -> list[Part]:
    """Return the sets that hold the spectra. Raises InputError, listing candidates, when it is not clear which."""
    if not sets:
        raise FileFormatError(f"{Path(file.filename).name} holds no data set of numbers. Is it a scan, and complete?")
    if options.dataset is not None:
        return _parts([_named(sets, options.dataset)], sets, options)
    default = _nexus_default(file)
    if default in sets and _is_cube(sets[default], options):
        return _parts([default], sets, options)
    for layout in LAYOUTS:
        if parts := _of_layout(layout, sets, options):
            return parts
    return _parts(_largest(sets, options), sets, options)


def _named(sets: Mapping[str, Any], wanted: str) -> str:
    fitting = [path for path in sets if path == wanted or path.endswith("/" + wanted.lstrip("/"))]
    exact = [path for path in fitting if path == "/" + wanted.lstrip("/")]
    if len(exact or fitting) == 1:
        return (exact or fitting)[0]
    raise InputError(
        f'--dataset "{wanted}" fits {len(fitting)} data sets; found {_listing(fitting or list(sets), sets)}'
        f"{did_you_mean(wanted, sets)}"
    )


def _nexus_default(file: Any) -> str | None:
    """Path of the signal of the default NXdata group, or None."""
    node = file
    for _ in range(10):
        if "default" not in node.attrs or (step := text(node.attrs["default"])) not in node:
            break
        node = node[step]
    if text(node.attrs.get("NX_class", "")) != "NXdata":
        return None
    signal = text(node.attrs.get("signal", ""))
    return node[signal].name if signal in node else None


def _of_layout(layout: Layout, sets: Mapping[str, Any], options: ReadOptions) -> list[Part]:
    if layout.summed in sets and options.detector is None:
        return _parts([layout.summed], sets, options, layout.axes)
    matches = sorted(path for path in sets if re.fullmatch(layout.detectors, path))
    if layout.index is not None:
        lists = [path for path in matches if layout.index in sets and sets[path].ndim == 2]
        return [
            Part(name, path, "e", index=layout.index) for path, name in zip(lists, _short_names(lists), strict=True)
        ]
    return _parts([path for path in matches if _is_cube(sets[path], options)], sets, options, layout.axes)


def _largest(sets: Mapping[str, Any], options: ReadOptions) -> list[str]:
    """The largest set that may be a scan, with its equals when their names differ by a number or letter alone."""
    lists = options.width is not None
    fitting = {path: node.size for path, node in sets.items() if _is_cube(node, options) or (lists and node.ndim == 2)}
    if not fitting:
        raise InputError(
            f"no data set [y, x, energy] of {LEAST_CHANNELS} channels or more; found {_listing(list(sets), sets)}. "
            "Name it with --dataset; a list [spectrum, channel] needs --width too"
        )
    best = [path for path, size in fitting.items() if size == max(fitting.values())]
    families = {re.sub(r"\d+|(?<=_)[a-h](?=/|$)", "#", path) for path in best}
    if len(families) > 1 or len({sets[path].shape for path in best}) > 1:
        raise InputError(f"several data sets could be the scan: {_listing(best, sets)}. Choose one with --dataset")
    return sorted(best)


def _parts(paths: list[str], sets: Mapping[str, Any], options: ReadOptions, axes: str | None = None) -> list[Part]:
    parts = []
    for path, name in zip(paths, _short_names(paths), strict=True):
        node = sets[path]
        if node.ndim == 2:
            parts.append(Part(name, path, "e"))
            continue
        letters = options.axes or (axes if axes and len(axes) == node.ndim else None) or named_axes(node)
        letters = work_out_axes(node.shape, letters)
        if "d" not in letters:
            parts.append(Part(name, path, letters))
            continue
        stem = name if len(paths) > 1 else ""
        count = node.shape[letters.index("d")]
        parts += [Part(f"{stem}{number}", path, letters, number) for number in range(count)]
    return parts


def named_axes(node: Any) -> str | None:
    """Letters of the axes of a NeXus signal from their names, or None where they do not tell which is energy."""
    attributes = node.parent.attrs
    if text(node.attrs.get("interpretation", "")) == "spectrum":
        return {3: "yxe", 4: None}.get(node.ndim)
    if text(attributes.get("signal", "")) != node.name.rsplit("/", 1)[-1]:
        return None
    names = axis_names(attributes)
    energy = [number for number, name in enumerate(names) if ENERGY_NAMES.search(name)]
    if len(names) != node.ndim or len(energy) != 1 or node.ndim != 3:
        return None
    left = [number for number in range(3) if number != energy[0]]
    swapped = names[left[0]].lower().startswith("x") and names[left[1]].lower().startswith("y")
    letters = dict(zip(left, "xy" if swapped else "yx", strict=True)) | {energy[0]: "e"}
    return "".join(letters[number] for number in range(3))


def axis_names(attributes: Mapping[str, Any]) -> list[str]:
    """Names of the axes of an NXdata group: a list, or one text with colons in old files."""
    names = attributes.get("axes", ())
    return re.split("[:,]", text(names)) if isinstance(names, str | bytes) else [text(name) for name in names]


def _is_cube(node: Any, options: ReadOptions) -> bool:
    if options.axes is not None:
        return node.ndim == len(options.axes)
    image = node.ndim == 3 and node.shape[-1] <= COLOURS
    return node.ndim in (3, 4) and max(node.shape) >= LEAST_CHANNELS and not image


def _short_names(paths: list[str]) -> list[str]:
    """What distinguishes the paths: their last step, or the one before where that is always the same."""
    steps = [path.strip("/").split("/") for path in paths]
    last = [step[-1] for step in steps]
    if len(set(last)) == len(last):
        return last
    return [step[-2] if len(step) > 1 else step[-1] for step in steps]


def _listing(paths: list[str], sets: Mapping[str, Any]) -> str:
    by_size = sorted(paths, key=lambda path: -prod(sets[path].shape))
    shown = ", ".join(f"{path} {sets[path].shape}" for path in by_size[:SHOWN])
    return shown + (f" and {len(paths) - SHOWN} more" if len(paths) > SHOWN else "")


def text(value: Any) -> str:
    """An HDF5 attribute as text, whatever its kind."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if getattr(value, "size", 0) == 1 and hasattr(value, "ravel"):
        return text(value.ravel()[0])
    return str(value)
