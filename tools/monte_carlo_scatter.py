"""Write tests/oracles/scatter.json and escape.json: scatter and silicon escape by Monte Carlo, in five minutes.

    uv run python tools/monte_carlo_scatter.py

Photons are followed one by one (vectorised) through a stack of layers; nothing of velatura is used, all data come from
xraylib (group `dev`). Every photon is forced to collide inside the stack and looks at the detector from each collision
(next-event estimate: Lux and Koblinger, Monte Carlo Particle Transport Methods, 1991, chapter 5), so that means and
their standard errors are those of weights. Free electrons at rest, no polarisation; fluorescence is not followed.
"""

import json
from itertools import product
from pathlib import Path
from typing import NamedTuple

import numpy as np
import xraylib

ORACLES = Path(__file__).resolve().parents[1] / "tests" / "oracles"
PHOTONS, SEED = 1_600_000, 20261120
ENERGIES = (6.0, 10.0, 17.4, 20.2, 30.0)  # keV
INCIDENCE, TAKE_OFF = 90.0, 45.0  # deg, from the surface
ORDERS = 3
REST = 510.99895  # keV
ESCAPE_ENERGIES = (2.0, 2.31, 3.69, 5.9, 6.4, 8.05, 10.5, 15.0, 20.0)  # keV
ESCAPE_PHOTONS = 4_000_000
CRYSTAL = 0.045 * 2.329  # g/cm2, 450 um of silicon

# (name, mass thickness [g/cm2], mass shares), top first. Paints: 40 % of the volume pigment, the rest dried oil.
CANVAS = ("linen canvas", 0.03, {"H": 0.06228, "C": 0.44438, "O": 0.49334})
LEAD_WHITE = ("lead white 50 um", 0.01665, {"H": 0.02130, "C": 0.15787, "O": 0.17103, "Pb": 0.64979})
CHALK = ("chalk ground 200 um", 0.0342, {"H": 0.03738, "C": 0.33432, "O": 0.37540, "Ca": 0.25291})
WOOD = ("wood panel 10 mm", 0.5, {"H": 0.06228, "C": 0.44438, "O": 0.49334})
STACKS = {
    "canvas": (CANVAS,),
    "lead white on canvas": (LEAD_WHITE, CANVAS),
    "chalk on canvas": (CHALK, CANVAS),
    "lead white on chalk on canvas": (LEAD_WHITE, CHALK, CANVAS),
    "panel": (WOOD,),
}


class Medium(NamedTuple):
    """Cross sections of one layer on grids."""

    energy: np.ndarray  # keV
    total: np.ndarray  # cm2/g
    transfer: np.ndarray  # 1/angstrom
    squared_form_factor: np.ndarray  # electrons^2/g
    incoherent_function: np.ndarray  # electrons/g


def medium(shares: dict[str, float]) -> Medium:
    """Tabulate a layer; photoabsorption is Kissel's from silicon up and Elam's below."""
    energy, transfer = np.arange(2.0, 32.0, 0.05), np.linspace(2e-3, 2.6, 1500)
    total, squared, function = np.zeros(len(energy)), np.zeros(len(transfer)), np.zeros(len(transfer))
    for name, share in shares.items():
        z = xraylib.SymbolToAtomicNumber(name)
        photo = xraylib.CS_Photo_Total if z >= 14 else xraylib.CS_Photo
        atoms = share * xraylib.AVOGNUM * 1e24 / xraylib.AtomicWeight(z)
        total += share * np.array([photo(z, e) + xraylib.CS_Rayl(z, e) + xraylib.CS_Compt(z, e) for e in energy])
        squared += atoms * np.array([xraylib.FF_Rayl(z, q) ** 2 for q in transfer])
        function += atoms * np.array([xraylib.SF_Compt(z, q) for q in transfer])
    return Medium(energy, total, transfer, squared, function)


def softened(energy, cosine):
    """Energy after Compton scattering [keV]."""
    return energy / (1 + energy / REST * (1 - cosine))


def differential(layer: Medium, energy, cosine):
    """(coherent, incoherent) cross section [cm2/g/sr]."""
    radius2 = xraylib.RE2 * 1e-24  # cm2; the library's is in barn
    q = energy / xraylib.KEV2ANGST * np.sqrt(np.maximum(1 - cosine, 0) / 2)
    ratio = softened(energy, cosine) / energy
    coherent = radius2 / 2 * (1 + cosine**2) * np.interp(q, layer.transfer, layer.squared_form_factor)
    klein_nishina = radius2 / 2 * ratio**2 * (ratio + 1 / ratio - 1 + cosine**2)
    return coherent, klein_nishina * np.interp(q, layer.transfer, layer.incoherent_function)


class Slab:
    """A stack of layers; depth is the optical depth along the normal, which depends on the energy."""

    def __init__(self, layers) -> None:
        self.media = [medium(shares) for _, _, shares in layers]
        self.mass = np.array([mass for _, mass, _ in layers])

    def attenuation(self, energy):
        """[layer, photon] cm2/g."""
        return np.array([np.interp(energy, layer.energy, layer.total) for layer in self.media])

    def borders(self, energy):
        """Optical depth of the borders of the layers [layer + 1, photon]."""
        tau = self.attenuation(energy) * self.mass[:, None]
        return np.concatenate([np.zeros((1, tau.shape[1])), np.cumsum(tau, axis=0)])

    def locate(self, depth, energy):
        """(layer, share of its thickness) where an optical depth lies."""
        borders = self.borders(energy)
        layer = np.clip((depth >= borders[1:]).sum(axis=0), 0, len(self.mass) - 1)
        every = np.arange(len(depth))
        top, bottom = borders[layer, every], borders[layer + 1, every]
        return layer, np.clip((depth - top) / (bottom - top), 0, 1)

    def depth(self, place, energy):
        """Optical depth at another energy of a place (layer, share of its thickness)."""
        (layer, share), borders = place, self.borders(energy)
        every = np.arange(len(layer))
        return borders[layer, every] + share * (borders[layer + 1, every] - borders[layer, every])


def see(slab, place, energy, direction, weight):
    """(coherent, incoherent, softened energy): photons per sr that leave for the detector from these collisions."""
    slope = np.radians(TAKE_OFF)
    out = np.array([np.cos(slope), 0.0, -np.sin(slope)])
    cosine = np.clip(direction @ out, -1, 1)
    soft, found = softened(energy, cosine), np.zeros((2, len(energy)))
    for number, layer in enumerate(slab.media):
        here = place[0] == number
        found[:, here] = differential(layer, energy[here], cosine[here])
    for part, leaving in zip(found, (energy, soft), strict=True):
        part *= weight * np.exp(-slab.depth(place, leaving) / np.sin(slope))
    return found[0], found[1], soft


def scatter(slab, place, energy, direction, weight, rng):
    """Choose kind, new direction and energy of every photon; the weight loses what is absorbed."""
    cosines = np.cos(np.linspace(0, np.pi, 721))
    cosine, choice = np.zeros(len(energy)), rng.random((3, len(energy)))
    kind, weight = np.zeros(len(energy), bool), weight.copy()
    levels = np.linspace(energy.min(), energy.max(), 9 if np.ptp(energy) else 1)
    level = np.abs(energy[:, None] - levels).argmin(axis=1)
    for (number, layer), (step, at) in product(enumerate(slab.media), enumerate(levels)):
        here = np.flatnonzero((place[0] == number) & (level == step))
        density = np.array(differential(layer, at, cosines))
        areas = np.cumsum((density[:, 1:] + density[:, :-1]) / 2 * -np.diff(cosines), axis=1)
        areas = np.concatenate([np.zeros((2, 1)), areas], axis=1)
        kind[here] = choice[0, here] < areas[1, -1] / areas[:, -1].sum()
        for incoherent in (False, True):
            these = here[kind[here] == incoherent]
            cosine[these] = np.interp(choice[1, these] * areas[int(incoherent), -1], areas[int(incoherent)], cosines)
        weight[here] *= 2 * np.pi * areas[:, -1].sum()
    energy = np.where(kind, softened(energy, cosine), energy)
    return energy, turned(direction, cosine, 2 * np.pi * choice[2]), weight


def turned(direction, cosine, azimuth):
    """Unit vectors at an angle from `direction`."""
    other = np.where(np.abs(direction[:, 2:]) < 0.9, [[0.0, 0.0, 1.0]], [[1.0, 0.0, 0.0]])
    first = np.cross(direction, other)
    first /= np.linalg.norm(first, axis=1, keepdims=True)
    second, sine = np.cross(direction, first), np.sqrt(np.maximum(1 - cosine**2, 0))[:, None]
    around = np.cos(azimuth)[:, None] * first + np.sin(azimuth)[:, None] * second
    return cosine[:, None] * direction + sine * around


def collide(slab, depth, energy, direction, weight, rng):
    """Force a collision on the way out of the stack; return the place and the weight per unit of cross section."""
    slope, total = direction[:, 2], slab.borders(energy)[-1]
    reach = np.where(slope > 0, total - depth, depth) / np.maximum(np.abs(slope), 1e-9)
    collided = -np.expm1(-reach)
    path = -np.log1p(-rng.random(len(reach)) * collided)
    place = slab.locate(np.clip(depth + path * slope, 0, total), energy)
    return place, weight * collided / slab.attenuation(energy)[place[0], np.arange(len(depth))]


def follow(layers, energy: float) -> dict:
    """Photons per sr and incident photon of each order of scatter, with standard errors."""
    rng, slab = np.random.default_rng(SEED), Slab(layers)
    slope = np.radians(INCIDENCE)
    direction = np.tile([np.cos(slope), 0.0, np.sin(slope)], (PHOTONS, 1))
    depth, energies, weight = np.zeros(PHOTONS), np.full(PHOTONS, energy), np.ones(PHOTONS)
    case = {"energy": energy}
    for order in range(1, ORDERS + 1):
        place, weight = collide(slab, depth, energies, direction, weight, rng)
        coherent, incoherent, soft = see(slab, place, energies, direction, weight)
        mean = (coherent @ energies + incoherent @ soft) / (coherent + incoherent).sum()
        parts = {"coherent": coherent, "incoherent": incoherent} if order == 1 else {"all": coherent + incoherent}
        case[f"order {order}"] = {name: estimate(values) for name, values in parts.items()} | {
            "mean_energy": round(float(mean), 4)
        }
        energies, direction, weight = scatter(slab, place, energies, direction, weight, rng)
        depth = slab.depth(place, energies)
    return case


def estimate(values: np.ndarray) -> list[float]:
    """[mean, standard error]."""
    return [float(f"{x:.6g}") for x in (values.mean(), values.std() / np.sqrt(len(values)))]


def escape(energy: float) -> dict:
    """Silicon K photons that leave the crystal per photon whose whole energy stays; normal incidence."""
    rng, z = np.random.default_rng(SEED), 14
    photo, scattered = xraylib.CS_Photo_Total(z, energy), xraylib.CS_Rayl(z, energy) + xraylib.CS_Compt(z, energy)
    photons = xraylib.CS_Photo_Partial(z, xraylib.K_SHELL, energy) / photo * xraylib.FluorYield(z, xraylib.K_SHELL)
    stopped = -np.expm1(-(photo + scattered) * CRYSTAL)
    depth = -np.log1p(-rng.random(ESCAPE_PHOTONS) * stopped) / (photo + scattered)
    slope = rng.uniform(-1, 1, ESCAPE_PHOTONS)
    path = np.where(slope > 0, CRYSTAL - depth, depth) / np.abs(slope)
    leaves = np.zeros(ESCAPE_PHOTONS)
    for line in ("KL3", "KL2", "KM3", "KM2"):
        code = getattr(xraylib, f"{line}_LINE")
        soft = xraylib.LineEnergy(z, code)
        own = xraylib.CS_Photo_Total(z, soft) + xraylib.CS_Rayl(z, soft) + xraylib.CS_Compt(z, soft)
        leaves += photons * xraylib.RadRate(z, code) * np.exp(-own * path)
    stays = 1 - leaves.mean()
    return {"energy": energy, "both_faces": estimate(leaves / stays), "front": estimate(leaves * (slope < 0) / stays)}


def write(name: str, photons: int, content: dict) -> None:
    """Write one file of oracles."""
    made = {"made_with": f"tools/monte_carlo_scatter.py, xraylib {xraylib.__version__}", "photons": photons}
    (ORACLES / name).write_text(json.dumps(made | content, indent=1) + "\n")


def main() -> None:
    """Write both files."""
    stacks = [
        {
            "title": title, "mass_thickness": [mass for _, mass, _ in layers],
            "mass_fractions": [shares for *_, shares in layers], "cases": [follow(layers, e) for e in ENERGIES],
        }
        for title, layers in STACKS.items()
    ]  # fmt: skip
    units = "keV, g/cm2, photons per sr and incident photon; [mean, standard error]; layers top first"
    write("scatter.json", PHOTONS, {"units": units, "incidence": INCIDENCE, "take_off": TAKE_OFF, "stacks": stacks})
    units = "keV; counts in the escape peak per count in the line itself, [mean, standard error]; 450 um of silicon"
    write("escape.json", ESCAPE_PHOTONS, {"units": units, "cases": [escape(e) for e in ESCAPE_ENERGIES]})


if __name__ == "__main__":
    main()
