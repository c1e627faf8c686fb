"""Build src/velatura/atomic/tables/scatter.npz from xraylib (group `dev`; not needed at run time) in a second.

    uv run python tools/build_scatter_table.py

Sources: xraylib (Schoonjans et al., Spectrochim. Acta B 66 (2011) 776), which holds the atomic form factors and
incoherent scattering functions of Hubbell et al. (1975) and the Compton profiles of Biggs, Mendelsohn and Mann (1975).
"""

import hashlib
import warnings
from pathlib import Path

import numpy as np
import xraylib

TABLE = Path(__file__).resolve().parents[1] / "src" / "velatura" / "atomic" / "tables" / "scatter.npz"
LAST_Z = 92
TRANSFER = np.geomspace(0.005, 5.0, 129)  # 1/angstrom; 60 keV scattered straight back gives 4.84
MOMENTUM = np.concatenate([[0.0], np.geomspace(0.05, 100.0, 63)])  # atomic units; the source ends at 100


def build() -> dict[str, np.ndarray]:
    """Return the arrays of scatter.npz."""
    every = range(1, LAST_Z + 1)
    return {
        "transfer": TRANSFER,
        "form_factor": np.array([[xraylib.FF_Rayl(z, q) for q in TRANSFER] for z in every], np.float32),
        "incoherent_function": np.array([[xraylib.SF_Compt(z, q) for q in TRANSFER] for z in every], np.float32),
        "momentum": MOMENTUM,
        "compton_profile": np.array([[xraylib.ComptonProfile(z, p) for p in MOMENTUM] for z in every], np.float32),
    }


def digest(arrays: dict[str, np.ndarray]) -> str:
    """SHA-256 of all arrays, in the order of their names."""
    whole = hashlib.sha256()
    for name in sorted(arrays):
        whole.update(name.encode() + np.ascontiguousarray(arrays[name]).tobytes())
    return whole.hexdigest()


def main() -> None:
    """Write the file and print its digests."""
    warnings.simplefilter("error")
    source = f"xraylib {xraylib.__version__} (BSD-3-Clause), tools/build_scatter_table.py"
    arrays = build()
    np.savez_compressed(TABLE, **arrays, source=np.array(source), sha256=np.array(digest(arrays)))
    print(TABLE.name, TABLE.stat().st_size, "bytes, contents", digest(arrays))


if __name__ == "__main__":
    main()
