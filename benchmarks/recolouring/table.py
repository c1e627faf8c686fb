"""The table of recolouring: every recipe and baseline on test paintings of both kinds, counts drawn for every pixel.

    python benchmarks/recolouring/table.py CANVASES velatura=RUN/recolour.safetensors paper=FILE velatura=FILE2 ... \
        --embeddings FILE FILE ... --out docs/recolouring-scores.md --figure docs/recolouring-triplets.png

Several files of one name are runs of other seeds: their mean and spread are given. Embeddings are found by their
fingerprint among the files and the shipped ones. Test pictures are embedded once for each embedding and kept beside the
canvases, so that a second table costs only the networks. The nine triplets are of the first name, on layers of paint.
"""

import argparse
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from palette_baselines import BASELINES, baseline
from triplets import Triplet, chosen, draw

from velatura.base.errors import InputError
from velatura.chain.recolour_data import TEST_DOSES, fresh_pictures, held_out
from velatura.scene.canvas_folder import CanvasFolder
from velatura.tasks.embedding_model import Embedder, load_embedder
from velatura.tasks.recolour_model import calibrated, fingerprint, load_recolourer
from velatura.tasks.recolour_scores import differences, each_score, map_scores
from velatura.tasks.recolour_training import Shown, recoloured

COLUMNS = {
    "ms_ssim": "MS-SSIM", "uiqi": "UIQI", "redmean": "redmean (0 to 3)", "redmean255": "redmean (0 to 765)",
    "ciede2000": "CIEDE2000", "trust_ece": "trust, calibration error", "error_rank": "error map, rank correlation",
}  # fmt: skip
KINDS = {"library": "Sampled library, as published", "layers": "Layers of paint, simulated"}
HEAD = "<!-- table -->"


class Made(NamedTuple):
    """What one network made of the test pictures of a kind."""

    shown: Shown
    rgb: np.ndarray
    each: dict[str, np.ndarray]
    found: dict[str, float]


def scored(rgb: np.ndarray, truth: np.ndarray) -> tuple[dict[str, np.ndarray], dict[str, float]]:
    """Scores of each picture, and their means with redmean on both scales."""
    each = each_score(rgb, truth)
    means = {name: float(values.mean()) for name, values in each.items()}
    return each, means | {"redmean255": 255 * means["redmean"]}


def made(file: Path, kind: str, canvases: CanvasFolder, *, embedders: dict[str, Embedder], number: int) -> Made:
    """Recolour the test pictures of a kind with one file of weights."""
    net = load_recolourer(file)
    asked = net.card.details["embedding"]
    if asked not in embedders:
        raise InputError(f"{file} was taught with the embedding {asked}; found {', '.join(embedders)}. Name its file")
    shown = fresh_pictures(canvases, embedders[asked], split="test", kind=kind, number=number, side=net.side)
    truth = shown.rgb / np.float32(255)
    said = recoloured(net.net, shown, flips=net.flips)
    rgb = np.clip(said[..., :3], 0, 1)
    error, trust = calibrated(said[..., 3], net.calibration)
    each, means = scored(rgb, truth)
    return Made(shown, rgb, each, means | map_scores(error, trust, apart=differences(rgb, truth)))


def rows_of(kind: str, found: dict[str, list[dict[str, float]]]) -> list[str]:
    """A Markdown table of methods."""
    head = ["method", *COLUMNS.values()]
    lines = [f"## {KINDS[kind]} ({TEST_DOSES[kind]:g} counts a pixel)", "", _row(head), _row(["---"] * len(head))]
    for name, runs in found.items():
        lines.append(_row([name, *(_cell([run[column] for run in runs if column in run]) for column in COLUMNS)]))
    return lines


def ahead(found: dict[str, dict[str, list[dict[str, float]]]], ours: str, *, rivals: Iterable[str]) -> list[str]:
    """How far ours is ahead of each rival."""
    lines = [f"## {ours} against the others", "", _row(["against", "on", "MS-SSIM", "CIEDE2000"]), _row(["---"] * 4)]
    for rival in rivals:
        for kind, methods in found.items():
            if rival not in methods or ours not in methods:
                continue
            mine, theirs = (
                {name: np.mean([run[name] for run in methods[who]]) for name in ("ms_ssim", "ciede2000")}
                for who in (ours, rival)
            )
            less = 1 - mine["ciede2000"] / theirs["ciede2000"]
            lines.append(_row([rival, kind, f"{mine['ms_ssim'] - theirs['ms_ssim']:+.3f}", f"{-less:+.0%}"]))
    return lines


def _cell(values: Sequence[float]) -> str:
    if not values:
        return ""
    digits = 1 if max(values) >= 10 else 3
    spread = f" ± {np.std(values, ddof=1):.{digits}f}" if len(values) > 1 else ""
    return f"{np.mean(values):.{digits}f}{spread}"


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def triplets_of(canvases: CanvasFolder, result: Made, *, number: int) -> list[Triplet]:
    """Best, middle and worst pictures."""
    files = held_out(canvases, split="test", kind="layers", number=number)
    scores = zip(result.each["ms_ssim"], result.each["ciede2000"], strict=True)
    titles = [f"{file.name[:18]}: {ssim:.2f}, {apart:.1f}" for file, (ssim, apart) in zip(files, scores, strict=True)]
    return [
        Triplet(np.float32(result.shown.embedded[one]), result.rgb[one], result.shown.rgb[one], titles[one])
        for one in chosen(result.each["ciede2000"])
    ]


def main() -> None:
    """Score all, and write the page and the figure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("canvases", type=Path)
    parser.add_argument("weights", nargs="+", metavar="NAME=FILE")
    parser.add_argument("--embeddings", nargs="*", default=[])
    parser.add_argument("--pictures", type=int, default=48)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--figure", type=Path)
    asked = parser.parse_args()
    canvases = CanvasFolder(asked.canvases)
    embedders = {fingerprint(one): one for one in map(load_embedder, asked.embeddings)}
    named = [(name, Path(file)) for name, _, file in (text.partition("=") for text in asked.weights)]
    side, first, found = load_recolourer(named[0][1]).side, None, {}
    for kind in KINDS:
        methods: dict[str, list[dict[str, float]]] = {}
        for name, file in named:
            result = made(file, kind, canvases, embedders=embedders, number=asked.pictures)
            methods.setdefault(name, []).append(result.found)
            first = result if kind == "layers" and first is None else first
            print(kind, name, {key: round(value, 4) for key, value in result.found.items()}, flush=True)
        truth = result.shown.rgb / np.float32(255)
        for name in BASELINES:
            colours = baseline(name, canvases, kind=kind, number=asked.pictures, side=side)
            methods[name] = [scored(colours, truth)[1]]
            print(kind, name, {key: round(value, 4) for key, value in methods[name][0].items()}, flush=True)
        found[kind] = methods
    lines = [line for kind in KINDS for line in (*rows_of(kind, found[kind]), "")]
    rivals = [name for name in dict.fromkeys([*(name for name, _ in named), *BASELINES]) if name != named[0][0]]
    text = "\n".join([*lines, *ahead(found, named[0][0], rivals=rivals)]) + "\n"
    if asked.out:
        before = asked.out.read_text().partition(HEAD)[0] if asked.out.exists() else ""
        asked.out.write_text(f"{before}{HEAD}\n\n{text}")
    if asked.figure and first is not None:
        title = f"{named[0][0]} on layers of paint: best, middle and worst of {asked.pictures}; MS-SSIM, CIEDE2000"
        draw(asked.figure, triplets_of(canvases, first, number=asked.pictures), title=title)
    print(text)


if __name__ == "__main__":
    main()
