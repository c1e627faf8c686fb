"""Fluorescence of layered paint, primary and secondary: stacks per second beside fisx on the same energies, one run.

    python benchmarks/fluorescence.py [--fisx PYTHON] [--stacks 512] [--cells 3]

PYTHON is an interpreter that can import fisx; without the option this one is tried, and without fisx only our own
speed is printed. Bars: 900 stacks per second at 3 cells a layer on 2 cores, 100 times fisx.
Ours: random stacks of four paints, ground and canvas, 45 elements, all their lines. fisx: the same beam energies and
the elements of the stack alone, K, L and M lines, secondary included, one stack at a time as it is made for.
"""

import argparse
import json
import subprocess
import sys
import time

import numpy as np

SYMBOLS = """
    H He Be C N O Na Mg Al Si P S Cl Ar K Ca Ti V Cr Mn Fe Co Ni Cu Zn As Se Br Rb Sr Zr Mo Ag Cd Sn Sb I Ba Ta W Au
    Hg Tl Pb Bi
"""
ELEMENTS = tuple(SYMBOLS.split())
PAINTS = (
    {"H": 0.02, "C": 0.16, "O": 0.17, "Pb": 0.65},
    {"H": 0.02, "C": 0.13, "O": 0.02, "S": 0.115, "Hg": 0.715},
    {"H": 0.03, "C": 0.25, "O": 0.32, "Cu": 0.4},
    {"H": 0.04, "C": 0.29, "O": 0.33, "Si": 0.04, "Al": 0.02, "Ca": 0.03, "Fe": 0.25},
    {"H": 0.03, "C": 0.22, "O": 0.3, "Ti": 0.3, "Zn": 0.15},
    {"H": 0.03, "C": 0.27, "O": 0.42, "Ca": 0.28},
    {"H": 0.06, "C": 0.45, "O": 0.49},
)
CHUNK = 32  # stacks at once: more fall out of the cache of a CPU (512: a third of the speed)
ANGLES = 90.0, 45.0

FISX = """
import json, sys, time
from fisx import Elements, Material, XRF
task = json.load(sys.stdin)
elements = Elements()
elements.initializeAsPyMca()
for number, paint in enumerate(task["paints"]):
    material = Material(f"paint{number}", 1.0, 1.0)
    material.setComposition(paint)
    elements.addMaterial(material, errorOnReplace=0)
times = []
for stack in task["stacks"]:
    start = time.perf_counter()
    xrf = XRF()
    xrf.setBeam(task["energy"], task["beam"])
    xrf.setSample([[f"paint{paint}", 1.0, mass] for paint, mass in stack])
    xrf.setGeometry(*task["angles"])
    symbols = {symbol for paint, _ in stack for symbol in task["paints"][paint]}
    wanted = [f"{symbol} {family}" for symbol in sorted(symbols) for family in task["families"][symbol]]
    xrf.getMultilayerFluorescence(wanted, elements, secondary=1, useMassFractions=1)
    times.append(time.perf_counter() - start)
json.dump(times, sys.stdout)
"""


def draw(number: int, *, rng: np.random.Generator) -> list[list[tuple[int, float]]]:
    """Stacks of (paint, g/cm2) from the top: four paints, ground, canvas."""
    return [
        [*((int(rng.integers(5)), float(rng.uniform(0.002, 0.02))) for _ in range(4)), (5, 0.03), (6, 0.03)]
        for _ in range(number)
    ]


def ours(stacks: list, excitation, cells: int) -> float:
    """Best time of three for all stacks [s], compilation left out."""
    import jax

    from velatura.physics.fluorescence import lines

    mass = np.array([[amount for _, amount in stack] for stack in stacks], np.float32)
    rows = np.array([[paint.get(z, 0.0) for z in ELEMENTS] for paint in PAINTS], np.float32)
    shares = np.stack([rows[[paint for paint, _ in stack]] for stack in stacks])

    @jax.jit
    def evaluate(mass, shares, excitation):
        return jax.lax.map(lambda stack: lines(*stack, excitation, cells=cells), (mass, shares), batch_size=CHUNK)

    evaluate(mass, shares, excitation).block_until_ready()
    times = []
    for _ in range(3):
        start = time.perf_counter()
        evaluate(mass, shares, excitation).block_until_ready()
        times.append(time.perf_counter() - start)
    return min(times)


def fisx(python: str, stacks: list, excitation) -> list[float] | None:
    """Seconds of each stack in fisx; None where it cannot be imported."""
    from velatura.atomic.lines import lines_of

    lit = np.asarray(excitation.beam) > 0
    families = {
        z: "".join(sorted({line.edge[0] for line in lines_of(z) if line.edge_energy < 40 and line.energy > 1}))
        for z in ELEMENTS
    }
    task = {
        "paints": PAINTS, "stacks": stacks, "angles": ANGLES, "families": families,
        "energy": np.asarray(excitation.energy)[lit].tolist(), "beam": np.asarray(excitation.beam)[lit].tolist(),
    }  # fmt: skip
    try:
        done = subprocess.run([python, "-c", FISX], input=json.dumps(task), capture_output=True, text=True, check=True)
    except (subprocess.CalledProcessError, FileNotFoundError) as error:
        print((getattr(error, "stderr", "") or str(error)).strip().splitlines()[-1])
        return None
    return json.loads(done.stdout)


def main() -> None:
    """Print stacks per second of both and the ratio."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--fisx", default=sys.executable, help="interpreter that can import fisx")
    parser.add_argument("--stacks", type=int, default=512)
    parser.add_argument("--cells", type=int, default=3)
    options = parser.parse_args()
    from velatura.physics.excitation import excite
    from velatura.physics.tube import Tube, tube_beam

    stacks = draw(options.stacks, rng=np.random.default_rng(1))
    excitation = excite(tube_beam(Tube()), ELEMENTS, incidence_angle=ANGLES[0], take_off_angle=ANGLES[1])
    seconds = ours(stacks, excitation, options.cells)
    rate = len(stacks) / seconds
    lit, lines = int((np.asarray(excitation.beam) > 0).sum()), len(excitation.line_energy)
    print(f"ours: {rate:.0f} stacks/s, {len(ELEMENTS)} elements, {lines} lines, {lit} energies, {options.cells} cells")
    times = fisx(options.fisx, stacks[:8], excitation)
    if times is None:
        print("fisx is not there: no ratio; name an interpreter that has it with --fisx")
    else:
        print(f"fisx: {1 / np.mean(times):.2f} stacks/s; ratio {rate * np.mean(times):.0f}")


if __name__ == "__main__":
    main()
