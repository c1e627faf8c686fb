"""The command `velatura`: verbs are imported only when they are called, so that `--help` is quick."""

import os
import sys
from collections.abc import Sequence
from importlib.metadata import version

from cyclopts import App, CycloptsError

VERBS = {
    "demo": "Build a small painting with a hidden figure, analyse it, score it against the truth, write the report.",
    "analyse": "The main job on your scan: import, calibrate, map elements, segment, identify, recolour, report.",
    "info": "Look at a scan file or workspace without changing anything.",
    "import": "Bring a scan into a workspace.",
    "calibrate": "Set the energy axis: automatically, from points, or check the one that the file gives.",
    "instrument": "Fit an instrument preset to your own spectra of known samples.",
    "repair": "Mend a scan: serpentine rows, uneven live time, orientation, a part only.",
    "elements": "Map elements with uncertainty and detection limit.",
    "segment": "Cluster the spectra into soft membership maps and propose composite maps.",
    "identify": "Name the pigments of every pixel, visible and hidden, with probabilities, and what is unknown.",
    "recolour": "Colours as the painting may have had them, with a map of how far to trust them.",
    "merge": "Join clusters that are one material.",
    "report": "Write the report as one HTML file with its figures.",
    "simulate": "Simulate the scan of a scene, of a picture or of random stacks of paint, with the truth beside it.",
    "paintings": "Fetch pictures of paintings to train from, with licence and attribution, or list your own.",
    "train": "Train networks again, or adapt them to your scanner.",
    "export": "Write maps and spectra as TIFF, CSV or PNG, or the cube for other programs.",
}
MODULE = {"import": "import_scan"}
EXIT_BAD_INPUT = 2
EXIT_CANCELLED = 130


def build_app() -> App:
    """Return the command-line application; no verb is imported yet."""
    app = App(
        name="velatura",
        help="From a MA-XRF scanner's file to hidden-painting maps. Start with: velatura demo",
        version=lambda: version("velatura"),
        suppress_keyboard_interrupt=False,
        result_action="return_value",
    )
    for name, purpose in VERBS.items():
        verb = MODULE.get(name, name)
        app.command(f"velatura.cli.{verb}:{verb}", name=name, help=purpose)
    return app


def keep_compiled_programs() -> None:
    """Let JAX keep compiled programs between runs in the user's cache folder, unless the user has set one."""
    from platformdirs import user_cache_dir

    os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", user_cache_dir("velatura", appauthor=False))
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")


def run(tokens: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code: 0 done, 2 bad input (one message, no traceback), 130 cancelled."""
    from velatura.base.errors import VelaturaError
    from velatura.cli.console import complain

    keep_compiled_programs()
    try:
        build_app()(tokens, exit_on_error=False)
    except (CycloptsError, SystemExit) as error:
        return error.code if isinstance(error, SystemExit) and isinstance(error.code, int) else EXIT_BAD_INPUT
    except VelaturaError as error:
        complain(str(error))
        return EXIT_BAD_INPUT
    except KeyboardInterrupt:
        complain("cancelled; what was finished before is kept, nothing is half written")
        return EXIT_CANCELLED
    return 0


def main() -> None:
    """Entry point of the command `velatura`."""
    sys.exit(run())
