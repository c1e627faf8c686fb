"""Velatura: from a MA-XRF scanner's file to hidden-painting maps.

    import velatura as vl

    cube = vl.open("scan.rpl")            # xarray.Dataset: counts[y, x, energy], lazily read
    maps = vl.segment(cube)               # memberships, labels, spectra, composite maps
    elements = vl.element_maps(cube)      # net counts, uncertainty, detection limit of each line
    colours = vl.recolour(cube)           # how a painting may have looked, with trust: a hypothesis

Names are imported when they are first used, so `import velatura` costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from velatura.base.cube import make_cube as make_cube
    from velatura.io.formats import open_scan as open  # noqa: F401
    from velatura.io.options import ReadOptions as ReadOptions
    from velatura.physics.instrument import Instrument as Instrument
    from velatura.physics.instrument import preset as preset
    from velatura.physics.material import Paint as Paint
    from velatura.physics.simulate import expected_counts as expected_counts
    from velatura.physics.simulate import prepare as prepare
    from velatura.physics.stack import Stack as Stack
    from velatura.physics.stack import pack as pack
    from velatura.scene.painting import Painting as Painting
    from velatura.scene.painting import Passage as Passage
    from velatura.scene.phantom import phantom as phantom
    from velatura.scene.scan import scan_painting as scan_painting
    from velatura.spectra.calibrate import calibrate as calibrate
    from velatura.tasks.elements import Elements as Elements
    from velatura.tasks.elements import element_maps as element_maps
    from velatura.tasks.recolour_cube import Recolouring as Recolouring
    from velatura.tasks.recolour_cube import recolour_cube as recolour  # noqa: F401
    from velatura.tasks.segment import Segmentation as Segmentation
    from velatura.tasks.segment import segment as segment

HOME = {
    "make_cube": "velatura.base.cube:make_cube",
    "open": "velatura.io.formats:open_scan",
    "ReadOptions": "velatura.io.options:ReadOptions",
    "Instrument": "velatura.physics.instrument:Instrument",
    "preset": "velatura.physics.instrument:preset",
    "Paint": "velatura.physics.material:Paint",
    "expected_counts": "velatura.physics.simulate:expected_counts",
    "prepare": "velatura.physics.simulate:prepare",
    "Stack": "velatura.physics.stack:Stack",
    "pack": "velatura.physics.stack:pack",
    "Painting": "velatura.scene.painting:Painting",
    "Passage": "velatura.scene.painting:Passage",
    "phantom": "velatura.scene.phantom:phantom",
    "scan_painting": "velatura.scene.scan:scan_painting",
    "calibrate": "velatura.spectra.calibrate:calibrate",
    "Elements": "velatura.tasks.elements:Elements",
    "element_maps": "velatura.tasks.elements:element_maps",
    "Recolouring": "velatura.tasks.recolour_cube:Recolouring",
    "recolour": "velatura.tasks.recolour_cube:recolour_cube",
    "Segmentation": "velatura.tasks.segment:Segmentation",
    "segment": "velatura.tasks.segment:segment",
}


def __getattr__(name: str) -> Any:
    """Import a public name from its home the first time it is asked for."""
    if name not in HOME:
        raise AttributeError(f"velatura has no {name!r}; it offers {', '.join(sorted(HOME))}")
    module, attribute = HOME[name].split(":")
    return getattr(import_module(module), attribute)


def __dir__() -> list[str]:
    """Return the public names."""
    return sorted(HOME)
