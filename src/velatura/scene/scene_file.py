"""A painting written down as TOML: paints, areas, and layers from the support to the surface (docs/scenes.md)."""

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from velatura.base.errors import InputError, did_you_mean
from velatura.physics.instrument import PRESETS, Instrument, instrument_from, preset, read_instrument
from velatura.physics.material import Materials, Paint, materials, read_materials
from velatura.scene.areas import EVERYTHING, REST, Areas, graded, softened
from velatura.scene.painting import KINDS, Painting, Passage, varied_thickness

SCENE = (
    *("title", "width", "height", "pitch", "instrument", "channels", "counts", "beam", "seed", "materials"),
    *("paints", "areas", "layer"),
)
PAINT = ("pigments", "loading", "binder")
PASSAGE = ("paint", "thickness", "area", "variation", "grain", "along", "soft")
LAYER = ("kind", "name", "passage", *PASSAGE)
LOADING = 0.4  # of a pigment that is named without a paint
GRAIN = 0.05  # of the height: correlation length of a thickness that varies
LARGEST = 4000  # pixels of a side


class Scene(NamedTuple):
    """What a scene file holds."""

    painting: Painting
    instrument: Instrument
    counts: float
    """Mean counts a pixel."""
    seed: int
    beam: float
    """FWHM of the spot [mm]."""
    title: str


def read_scene(path: Path) -> Scene:
    """Read a scene file. Raises InputError that names the place and what to write there for everything amiss."""
    path = Path(path)
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InputError(f"cannot read the scene {path}: {error}") from error
    return scene_from(content, folder=path.parent, where=path.name)


def scene_from(content: Mapping[str, Any], *, folder: Path, where: str) -> Scene:
    """Build a scene from nested mappings as TOML gives them.

    folder: where other files are looked for; where: name of the source, which begins every message.
    """
    with _within(where):
        _known(content, SCENE, "a scene")
        height, width = (int(_number(content, name, least=1, whole=True)) for name in ("height", "width"))
        if max(height, width) > LARGEST:
            raise InputError(f"height and width are pixels, up to {LARGEST}; found {height} and {width}")
        shape = height, width
        painting = Painting(shape, _number(content, "pitch", 1.0))
        seed = int(_number(content, "seed", 0, least=0, whole=True))
        instrument = _instrument(content.get("instrument", "laboratory"), folder)
        if "channels" in content:
            instrument = instrument.rebinned(int(_number(content, "channels", least=1, whole=True)))
        counts, beam = _number(content, "counts", 5000, least=1), _number(content, "beam", 0.0)
        table = read_materials(folder / str(content["materials"])) if "materials" in content else materials()
        paints = _paints(_table(content, "paints"), table)
        areas = Areas(shape, _table(content, "areas"), folder=folder, rng=np.random.default_rng([seed, 0]))
        layers = content.get("layer", [])
        if not isinstance(layers, list) or not layers:
            raise InputError("a scene needs layers, each under [[layer]], the support first")
        for number, layer in enumerate(layers, 1):
            kind = layer.get("kind") if isinstance(layer, Mapping) else None
            with _within(f"layer {number}" + (f" ({kind})" if kind else "")):
                passages = _passages(layer, paints, areas, seed=[seed, number])
                painting = painting.sheet(_kind(layer), passages, name=str(layer.get("name", "")))
        return Scene(painting, instrument, counts, seed, beam, str(content.get("title", where)))


class _Paints(NamedTuple):
    """Paints of the scene, and materials that can be named in their place."""

    named: Mapping[str, Paint]
    table: Materials

    def paint(self, name: Any) -> Paint:
        """A paint by its name; a pigment stands for itself in oil, any other material for itself alone."""
        if name in self.named:
            return self.named[name]
        if name in self.table:
            pigment = self.table[name].kind == "pigment"
            return Paint(name, {name: 1.0}, loading=LOADING if pigment else 1.0, table=self.table)
        hint = did_you_mean(str(name), (*self.named, *self.table))
        raise InputError(f"no paint {name!r} under [paints], nor a material of this name{hint}")


def _paints(tables: Mapping[str, Any], materials: Materials) -> _Paints:
    found = {}
    for name, content in tables.items():
        with _within(f"[paints.{name}]"):
            if not isinstance(content, Mapping):
                raise InputError("write pigments = { lead_white = 0.9, vermilion = 0.1 }, shares by volume")
            _known(content, PAINT, "a paint")
            pigments = _table(content, "pigments")
            for pigment in pigments:
                _number(pigments, pigment)
            loading, binder = _number(content, "loading", LOADING), str(content.get("binder", "linseed_oil"))
            found[name] = Paint(name, pigments, loading, binder, materials)
    return _Paints(found, materials)


def _passages(layer: Any, paints: _Paints, areas: Areas, *, seed: list[int]) -> list[Passage]:
    """The passages of one layer; a layer without any is one passage itself."""
    if not isinstance(layer, Mapping):
        raise InputError("write it as a table: [[layer]], then kind, paint and thickness")
    _known(layer, LAYER, "a layer")
    inner = layer.get("passage")
    if inner is not None and (both := [key for key in PASSAGE if key in layer]):
        raise InputError(f"{both[0]} stands both in the layer and in its passages. Write it in the passages")
    tables = [{key: layer[key] for key in PASSAGE if key in layer}] if inner is None else inner
    masks = []
    for number, table in enumerate(tables, 1):
        with _within(f"passage {number}") if inner is not None else _within(""):
            if not isinstance(table, Mapping):
                raise InputError("write it as a table: [[layer.passage]], then paint, area and thickness")
            _known(table, PASSAGE, "a passage")
            area = table.get("area", EVERYTHING)
            masks.append(None if area == REST else areas.mask(area))
    taken = np.any([mask for mask in masks if mask is not None] or [np.zeros(areas.shape, bool)], axis=0)
    found = []
    for number, (table, mask) in enumerate(zip(tables, masks, strict=True), 1):
        with _within(f"passage {number}") if inner is not None else _within(""):
            rng = np.random.default_rng([*seed, number])
            found.append(_passage(table, ~taken if mask is None else mask, paints, rng=rng))
    return found


def _passage(table: Mapping[str, Any], mask: np.ndarray, paints: _Paints, *, rng: np.random.Generator) -> Passage:
    if "paint" not in table or "thickness" not in table:
        lacking = " and ".join(key for key in ("paint", "thickness") if key not in table)
        raise InputError(f"{lacking} missing: paint = a name under [paints] or a material, thickness = um")
    if not mask.any():
        raise InputError(f"the area {table.get('area')!r} has no pixel. Is it outside the picture, or cut away?")
    paint, height = paints.paint(table["paint"]), mask.shape[0]
    thickness = _thickness(table, mask.shape)
    relative = _number(table, "variation", 0.0)
    if relative:
        grain = _number(table, "grain", GRAIN) * height
        thickness = varied_thickness(thickness, mask.shape, relative=relative, scale=grain, rng=rng)
    thickness = softened(thickness, mask, _number(table, "soft", 0.0) * height)
    return Passage(paint, thickness, mask)


def _thickness(table: Mapping[str, Any], shape: tuple[int, int]) -> np.ndarray:
    given = table["thickness"]
    if not isinstance(given, list):
        if "along" in table:
            raise InputError(f"along needs thickness = [from, to]; found {given!r}")
        return np.full(shape, _number(table, "thickness"))
    if len(given) != 2:
        raise InputError(f"thickness is a number of um, or [from, to] with along; found {given!r}")
    first, last = (_number({"thickness": value}, "thickness") for value in given)
    return graded((first, last), table.get("along"), shape)


def _kind(layer: Mapping[str, Any]) -> str:
    if "kind" not in layer:
        raise InputError(f"kind is missing: one of {', '.join(KINDS)}")
    return str(layer["kind"])


def _instrument(given: Any, folder: Path) -> Instrument:
    if isinstance(given, Mapping):
        return instrument_from(given, where="[instrument]")
    if not isinstance(given, str):
        raise InputError(f"instrument is one of {', '.join(PRESETS)}, a .toml file, or a table; found {given!r}")
    return read_instrument(folder / given) if given.endswith(".toml") else preset(given)


def _table(content: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = content.get(name, {})
    if not isinstance(found, Mapping):
        raise InputError(f"{name} is a table of names; found {found!r}")
    return found


def _number(
    table: Mapping[str, Any], name: str, default: float | None = None, *, least: float = 0.0, whole: bool = False
) -> float:
    """A finite number, `least` or more."""
    value = table.get(name, default)
    if value is None:
        raise InputError(f"{name} is missing: a number, {least:g} or more")
    kinds = int if whole else int | float
    if isinstance(value, bool) or not isinstance(value, kinds) or not least <= value < np.inf:
        raise InputError(f"{name} must be a {'whole ' if whole else ''}number, {least:g} or more; found {value!r}")
    return value


def _known(table: Mapping[str, Any], names: Sequence[str], what: str) -> None:
    for key in table:
        if key not in names:
            raise InputError(f"no key {key!r} in {what}; known are {', '.join(names)}{did_you_mean(key, names)}")


@contextmanager
def _within(where: str) -> Iterator[None]:
    """Begin every message with its place."""
    try:
        yield
    except InputError as error:
        raise (InputError(f"{where}: {error}") if where else error) from error
