"""Build src/velatura/atomic/tables/*.npz from xraylib (group `dev`; not needed at run time) in a second.

    uv run python tools/build_atomic_tables.py

Sources: xraylib (Schoonjans et al., Spectrochim. Acta B 66 (2011) 776), which holds Kissel's photo cross sections,
Elam's Rayleigh, Compton and light-element photo cross sections, radiative rates and yields, and Bearden's energies.
"""

import hashlib
import re
import warnings
from functools import partial
from pathlib import Path

import numpy as np
import xraylib

TABLES = Path(__file__).resolve().parents[1] / "src" / "velatura" / "atomic" / "tables"
LAST_Z = 92
SHELLS = ("K", "L1", "L2", "L3", "M1", "M2", "M3", "M4", "M5")
LOWEST, HIGHEST, GRID_POINTS = 0.5, 60.0, 48  # keV, keV, points of the first logarithmic grid
ACCURACY, NARROWEST = 1e-3, 2e-6  # relative error of log-log interpolation; relative spacing that needs no more points
SMALLEST_RATE = 5e-4  # lines below this share of their sub-shell are left out, the others scaled to sum 1
TYPICAL_TUBE = 40.0  # kV, for the shares of the sub-shells in a family
EDGE_SIDE = 1e-6  # relative distance of the two points that resolve an edge
KISSEL_FROM = 14  # Z; below, Kissel's sums lack the valence shells at high energy
SILICON_KISSEL_UP_TO = 50.0  # keV; silicon's Kissel sum falls off above

# Classical (Siegbahn) names after Jenkins et al., Pure Appl. Chem. 63 (1991) 735, table VIII.2.
SIEGBAHN = """
K-L3 Ka1, K-L2 Ka2, K-L1 Ka3, K-M3 Kb1, K-M2 Kb3, K-N3 Kb2, K-N2 Kb2, K-M4 Kb5, K-M5 Kb5, K-N4 Kb4, K-N5 Kb4,
L3-M5 La1, L3-M4 La2, L3-M1 Ll, L3-M2 Lt, L3-M3 Ls, L3-N5 Lb2, L3-N4 Lb15, L3-N1 Lb6, L3-O1 Lb7, L3-O4 Lb5, L3-O5 Lb5,
L3-O45 Lb5, L3-N6 Lu, L3-N7 Lu, L2-M4 Lb1, L2-M1 Ln, L2-M3 Lb17, L2-N4 Lg1, L2-N1 Lg5, L2-O1 Lg8, L2-O4 Lg6, L2-N6 Lv,
L1-M3 Lb3, L1-M2 Lb4, L1-M5 Lb9, L1-M4 Lb10, L1-N2 Lg2, L1-N3 Lg3, L1-N4 Lg11, L1-N5 Lg11, L1-O2 Lg4, L1-O3 Lg4,
M5-N7 Ma1, M5-N6 Ma2, M4-N6 Mb, M3-N5 Mg, M3-N4 Mg, M4-N2 Mz, M5-N3 Mz
"""


def ask(function, *arguments) -> float:
    """Return xraylib's value, or 0 where it has none."""
    try:
        return function(*arguments)
    except ValueError:
        return 0.0


def shell_code(shell: str) -> int:
    """Return xraylib's number of a sub-shell."""
    return getattr(xraylib, f"{shell}_SHELL")


def line_names() -> list[tuple[str, str]]:
    """Return (shell, upper) of single transitions, then of xraylib's sums of the rest (K-O, L3-O45)."""
    single = re.compile(r"(K|L[1-3]|M[1-5])([LMNOPQ][1-7])_LINE")
    summed = re.compile(r"(K|L[1-3])(O|P|[LMNOP][1-7]{2})_LINE")
    return [m.groups() for kind in (single, summed) for name in dir(xraylib) if (m := kind.fullmatch(name))]


def lines_of_shell(z: int, shell: str, names: list[tuple[str, str]]) -> list[tuple[str, float, float]]:
    """Return (upper, energy [keV], rate) of the stronger lines of one sub-shell; rates sum to 1."""
    found = []
    for home, upper in names:
        if home == shell:
            code = getattr(xraylib, f"{shell}{upper}_LINE")
            rate, energy = ask(xraylib.RadRate, z, code), ask(xraylib.LineEnergy, z, code)
            if rate >= SMALLEST_RATE and energy > 0:
                found.append((upper, energy, rate))
    total = sum(rate for *_, rate in found)
    return sorted(((upper, energy, rate / total) for upper, energy, rate in found), key=lambda line: -line[2])


def family_shares(z: int) -> np.ndarray:
    """Share of each sub-shell in its family's photons, thin sample, Kramers continuum of a 40 kV tube behind 125 um Be.

    With the full cascade (Coster-Kronig, Auger and radiative transfers): without it M lines come out 30 % low.
    """
    energies = np.arange(1.0, TYPICAL_TUBE, 0.25)
    tube = (TYPICAL_TUBE - energies) / energies * np.exp([-xraylib.CS_Total(4, e) * 1.85 * 0.0125 for e in energies])
    shares = np.zeros(len(SHELLS))
    for family in "KLM":
        members = [i for i, shell in enumerate(SHELLS) if shell[0] == family]
        for i in members:
            made = [ask(xraylib.CS_FluorShell_Kissel_Cascade, z, shell_code(SHELLS[i]), e) for e in energies]
            shares[i] = tube @ np.array(made)
        if (total := shares[members].sum()) > 0:
            shares[members] /= total
    shares[0] = 1.0
    return shares


def build_lines() -> dict[str, np.ndarray]:
    """Return the arrays of lines.npz."""
    names, every = line_names(), range(1, LAST_Z + 1)
    classical = dict(pair.split() for pair in SIEGBAHN.replace("\n", " ").split(","))
    rows = [
        (z, i, f"{shell}-{upper}", classical.get(f"{shell}-{upper}", f"{shell}-{upper}"), energy, rate)
        for z in every
        for i, shell in enumerate(SHELLS)
        for upper, energy, rate in lines_of_shell(z, shell, names)
    ]
    z, shell, iupac, siegbahn, energy, rate = zip(*rows, strict=True)
    known = {
        "edge_energy": xraylib.EdgeEnergy, "fluorescence_yield": xraylib.FluorYield, "jump_ratio": xraylib.JumpFactor,
    }  # fmt: skip
    return {
        "symbol": np.array([xraylib.AtomicNumberToSymbol(z) for z in every]),
        "atomic_weight": np.array([xraylib.AtomicWeight(z) for z in every]),
        "shell_name": np.array(SHELLS),
        **{name: np.array([[ask(f, z, shell_code(s)) for s in SHELLS] for z in every]) for name, f in known.items()},
        "family_share": np.array([family_shares(z) for z in every]),
        "z": np.array(z, np.uint8), "shell": np.array(shell, np.uint8), "iupac": np.array(iupac),
        "siegbahn": np.array(siegbahn), "energy": np.array(energy), "rate": np.array(rate),
    }  # fmt: skip


def photo(z: int, energy: float) -> float:
    """Return the photoabsorption [cm2/g] of the better source for this element and energy [keV]."""
    if z < KISSEL_FROM or (z == KISSEL_FROM and energy > SILICON_KISSEL_UP_TO):
        return xraylib.CS_Photo(z, energy)
    return xraylib.CS_Photo_Total(z, energy)


def production(z: int, energy: float) -> list[float]:
    """Photons of each sub-shell per photon and mass, with the full cascade, on the same footing as `photo`."""
    if not (kissel := ask(xraylib.CS_Photo_Total, z, energy)):
        return [0.0] * len(SHELLS)
    made = [ask(xraylib.CS_FluorShell_Kissel_Cascade, z, shell_code(shell), energy) for shell in SHELLS]
    return [value * photo(z, energy) / kissel for value in made]


def refined(function, grid: np.ndarray) -> np.ndarray:
    """Halve intervals of `grid` (in the logarithm) until log-log interpolation of `function` holds everywhere.

    Kissel's sums rise over a percent above many edges and Elam's steps lie beside the edges' energies.
    """
    done, todo = [grid[0]], [(a, b) for a, b in zip(grid[-2::-1], grid[:0:-1], strict=True)]
    while todo:
        a, b = todo.pop()
        middle = np.sqrt(a * b)
        guess = np.sqrt(function(a) * function(b))
        if b / a - 1 > NARROWEST and abs(guess - function(middle)) > ACCURACY * function(middle):
            todo += [(middle, b), (a, middle)]
        else:
            done.append(b)
    return np.array(done)


def build_attenuation() -> dict[str, np.ndarray]:
    """Return the arrays of attenuation.npz."""
    common = np.geomspace(LOWEST, HIGHEST, GRID_POINTS)
    shells = [shell_code(name[:-6]) for name in dir(xraylib) if re.fullmatch(r"[KLMNO][1-7]?_SHELL", name)]
    columns: dict[str, list[float]] = {name: [] for name in ("energy", "photo", "coherent", "incoherent")}
    start, produced = [0], []
    for z in range(1, LAST_Z + 1):
        edges = [ask(xraylib.EdgeEnergy, z, shell) for shell in shells]
        sides = [e * side for e in edges if LOWEST < e < HIGHEST for side in (1 - EDGE_SIDE, 1 + EDGE_SIDE)]
        energies = refined(partial(photo, z), np.unique([*common, *sides]))
        columns["energy"] += list(energies)
        columns["photo"] += [photo(z, e) for e in energies]
        columns["coherent"] += [xraylib.CS_Rayl(z, e) for e in energies]
        columns["incoherent"] += [xraylib.CS_Compt(z, e) for e in energies]
        produced += [production(z, e) for e in energies]
        start.append(len(columns["energy"]))
    narrow = {name: np.array(columns[name], np.float32) for name in ("photo", "coherent", "incoherent")}
    narrow["production"] = np.array(produced, np.float32)
    return {"start": np.array(start, np.int32), "energy": np.array(columns["energy"]), **narrow}


def digest(arrays: dict[str, np.ndarray]) -> str:
    """SHA-256 of all arrays, in the order of their names."""
    whole = hashlib.sha256()
    for name in sorted(arrays):
        whole.update(name.encode() + np.ascontiguousarray(arrays[name]).tobytes())
    return whole.hexdigest()


def main() -> None:
    """Write both files and print their digests."""
    warnings.simplefilter("error")
    source = f"xraylib {xraylib.__version__} (BSD-3-Clause), tools/build_atomic_tables.py"
    for name, arrays in (("lines", build_lines()), ("attenuation", build_attenuation())):
        path = TABLES / f"{name}.npz"
        np.savez_compressed(path, **arrays, source=np.array(source), sha256=np.array(digest(arrays)))
        print(path.name, path.stat().st_size, "bytes, contents", digest(arrays))


if __name__ == "__main__":
    main()
