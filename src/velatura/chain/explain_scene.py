"""What a scanner can know of a scene: which layer its lines come from, and how well each pigment can be seen."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import jax
import numpy as np

from velatura.atomic.lines import lines_of
from velatura.base.aside import written_aside
from velatura.base.progress import Progress, silent
from velatura.physics.fluorescence import lines, primary_by_layer
from velatura.physics.instrument import Instrument
from velatura.physics.material import Paint, material
from velatura.physics.simulate import Scanner, expected_counts, prepare
from velatura.physics.stack import Stack, pack
from velatura.report.drawing import as_png
from velatura.report.visibility import visibility_figure
from velatura.scene.detectability import Evidence, depth_of_visibility, evidence
from velatura.scene.layerings import Layering, layerings
from velatura.scene.painting import COVERING, Painting
from velatura.scene.scan import painting_scanner, simulator, slots_of
from velatura.scene.scene_file import read_scene

LAYERINGS, LINES = 6, 6  # printed: the largest layerings, the strongest lines of each
FAINT = 0.004  # of the strongest line: not printed
COVER = Paint("lead white", {"lead_white": 1.0})
THICKNESSES = (2.0, 5.0, 10.0, 15.0, 20.0, 30.0, 40.0, 50.0, 60.0, 80.0, 100.0, 120.0, 150.0, 180.0, 220.0)  # um
DOSES = (1e3, 3e3, 1e4, 3e4, 1e5, 3e5, 1e6)  # counts a pixel
SEEN = 9.0  # delta chi2: three standard deviations


def explain_scene(
    scene: Path, picture: Path | None = None, *, instrument: Instrument | None = None, progress: Progress = silent
) -> list[str]:
    """Return lines of text about the largest layerings of a scene; draw how deep its pigments are seen into `picture`.

    picture: a .png to write, or None; instrument: None takes the scene's.
    """
    found = read_scene(scene)
    painting, head = found.painting, instrument or found.instrument
    every = sorted(layerings(painting, most=1), key=lambda part: -len(part.pixels))
    told = [f"{len(every)} layerings; counted by {head.name} at {found.counts:g} counts a pixel"]
    simulate, scanner = simulator(painting, head), painting_scanner(painting, head)
    for number, part in enumerate(every[:LAYERINGS]):
        progress("layerings", number, min(len(every), LAYERINGS))
        stack = _middle(painting, part)
        told += ["", _title(painting, part, stack), *line_table(stack, scanner, slots=slots_of(painting))]
        told += list(_seen(painting, part, evidence([stack], simulate, counts=found.counts)))
    if picture is not None:
        draw_visibility(picture, scene_pigments(painting), head, progress=progress)
        told += ["", f"how deep its pigments are seen under lead white: {picture}"]
    return told


def draw_visibility(
    picture: Path, pigments: tuple[str, ...], instrument: Instrument, *, progress: Progress = silent
) -> None:
    """Write the figure of how deep each pigment (30 um of it in oil, on chalk) is seen under lead white."""
    scanner = prepare(instrument)

    def simulate(stacks: Sequence[Stack]) -> np.ndarray:
        return expected_counts(pack(stacks, scanner.elements), scanner)

    tables = []
    for number, name in enumerate(pigments):
        progress("depth of visibility", number, len(pigments))
        tables.append(depth_of_visibility(name, COVER, THICKNESSES, counts=DOSES, simulate=simulate))
    names = [_printed(name) for name in pigments]
    figure = visibility_figure(tables, names=names, cover=COVER.name)
    with written_aside(Path(picture)) as aside:
        aside.write_bytes(as_png(figure))


def line_table(stack: Stack, scanner: Scanner, *, slots: int) -> list[str]:
    """Return rows of text: the strongest lines of a stack, relative to the strongest, and the layers they come from.

    slots: layers that the computation is compiled for.
    """
    names = [layer.paint.name for layer in stack.layers]
    groups = _line_groups(scanner, stack, slots)
    largest = max((part.sum() for part in groups.values()), default=0.0)
    rows = []
    for name, part in sorted(groups.items(), key=lambda item: -item[1].sum())[:LINES]:
        if part.sum() < FAINT * largest:
            continue
        shares = part / part.sum()
        origin = [f"{names[k]} {shares[k]:.0%}" for k in np.argsort(-shares) if shares[k] >= 0.005]
        rows.append(f"  {name:<7}{part.sum() / largest:7.1%} of the strongest   from {', '.join(origin)}")
    return rows


def _line_groups(scanner: Scanner, stack: Stack, slots: int) -> dict[str, np.ndarray]:
    """Counted lines by group such as "Pb-La", by layer, support first; secondary ones shared like the primary."""
    packed, bench = pack([stack], scanner.elements, slots=slots), scanner.bench
    excitation, layers = bench.excitation, len(stack.layers)
    by_layer = np.asarray(jax.jit(primary_by_layer)(packed.mass[0], packed.shares[0], excitation), np.float64)
    whole = np.asarray(jax.jit(lines)(packed.mass[0], packed.shares[0], excitation), np.float64)
    counted = np.asarray(bench.response[: by_layer.shape[1]].sum(axis=1), np.float64)
    by_layer = (by_layer * whole * counted / np.maximum(by_layer.sum(axis=0), 1e-30))[layers - 1 :: -1]
    groups: dict[str, np.ndarray] = {}
    for number, energy in enumerate(np.asarray(excitation.line_energy, np.float64)):
        element = scanner.elements[int(excitation.line_element[number])]
        line = min(lines_of(element), key=lambda line: abs(line.energy - energy))
        name = f"{element}-{line.group}"
        groups[name] = groups.get(name, 0.0) + by_layer[:, number]
    return groups


def scene_pigments(painting: Painting, most: int = 8) -> tuple[str, ...]:
    """Return the pigments whose depth is worth drawing: those of layers that lie hidden, else all; not the cover."""
    hidden = [bool(sheet.any()) for sheet in painting.hidden()]
    sheets = [sheet for sheet, beneath in zip(painting.sheets, hidden, strict=True) if beneath]
    sheets = sheets or [sheet for sheet in painting.sheets if sheet.kind in COVERING] or list(painting.sheets)
    names = dict.fromkeys(name for sheet in sheets for paint in sheet.paints for name in paint.pigments)
    return tuple(name for name in names if material(name).markers and name != "lead_white")[:most]


def _printed(name: str) -> str:
    title = material(name).title.split(" (")[0]
    return title[0].lower() + title[1:]


def _middle(painting: Painting, part: Layering) -> Stack:
    """The stack of a layering at its mean thicknesses."""
    mean = part.thickness(painting, part.pixels).mean(axis=0)
    stack = Stack()
    for k, label, thickness in zip(part.sheets, part.labels, mean, strict=True):
        stack = stack.paint(painting.sheets[k].paints[label], thickness=float(thickness))
    return stack


def _title(painting: Painting, part: Layering, stack: Stack) -> str:
    share = len(part.pixels) / (painting.shape[0] * painting.shape[1])
    layers = " / ".join(f"{layer.paint.name} {layer.thickness:.0f} um" for layer in reversed(stack.layers))
    return f"{share:.0%} of the painting: {layers}"


def _seen(painting: Painting, part: Layering, rows: list[Evidence]) -> Iterator[str]:
    """How well each pigment shows."""
    ranked = sorted(rows, key=lambda row: -row.delta_chi2[0])
    place = {row.layer: painting.sheets[part.sheets[row.layer]].name for row in rows}
    seen = [
        f"{row.pigment} in {place[row.layer]} {row.delta_chi2[0]:.0f}" for row in ranked if row.delta_chi2[0] >= SEEN
    ]
    lost = [f"{row.pigment} in {place[row.layer]}" for row in ranked if row.delta_chi2[0] < SEEN]
    if seen:
        yield f"  seen, with its delta chi2: {', '.join(seen)}"
    if lost:
        yield f"  cannot be told from its spectrum: {', '.join(lost)}"
