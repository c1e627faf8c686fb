"""Embedders side by side on unseen paintings, the clusters of pure pigments, what is strange, and the speed.

    python benchmarks/recolouring/embedding.py CANVASES RUN/embedding.safetensors ... [--standards DATA]

Two tables. First, for those with a decoder, spectra of the published kind (400 counts): mean squared error of what is
rebuilt, silhouette of the best k-means partition, and for the twelve pure pigments silhouette and adjusted Rand index.
Second, for all: mean CIEDE2000 of the colour that one small regressor reads from single spectra, at 400 counts of the
library and 2,000 of layers, how often the main pigment is found, AUROC of strangeness between spectra of unseen
paintings of the kinds it learned from and of measured samples without pigments (2,000 counts), and CPU seconds for a
million spectra: on two free cores about half as many pass.
"""

import sys
from pathlib import Path
from time import process_time

import jax
import numpy as np

from velatura.physics.instrument import PRESETS
from velatura.scene.canvas_counts import rebinned
from velatura.scene.canvas_folder import CanvasFolder
from velatura.scene.colour_canvas import LIBRARY_HEAD
from velatura.scene.image_paint import TWELVE, library_of, named_palette
from velatura.scene.training import CHANNELS, HIGH, LOW
from velatura.spectra.regrid import regrid
from velatura.tasks.embedding_model import Embedder, embed, load_embedder, strangeness
from velatura.tasks.embedding_scores import (
    Held,
    cluster_scores,
    colour_score,
    held_spectra,
    pigment_score,
    rebuilding_score,
)
from velatura.tasks.embedding_training import Pool, exact_counts, pool_of
from velatura.train.metrics import auroc

DOSES = {"library": 400.0, "layers": 2000.0}
TAUGHT, ASKED, TIMED = 8192, 4096, 50_000
EACH = 150  # spectra of each pure pigment


def pools(canvases: CanvasFolder, split: str, embedder: str) -> dict[str, Pool]:
    """Return the spectra of a split, by kind of canvases."""
    rng = np.random.default_rng(11)
    return {
        kind: pool_of((canvases.read(file) for file in canvases.listed(split, kind)[:200]), embedder, rng=rng)
        for kind in DOSES
    }


def spectra(pool: Pool, kind: str, number: int) -> Held:
    """Return noisy spectra of a pool at the dose of its kind, the same ones at every call."""
    dose = (DOSES[kind], DOSES[kind])
    return held_spectra(pool, number, counts=dose, exact=True, rng=np.random.default_rng(number))


def pure_pigments(embedder: Embedder) -> tuple[np.ndarray, np.ndarray]:
    """Return spectra of thick samples of the twelve pigments at 400 counts, and which it is."""
    names = named_palette(TWELVE)
    library = library_of(names, PRESETS[LIBRARY_HEAD], window=(LOW, HIGH), channels=CHANNELS).spectra
    own = np.tile(np.arange(len(names)), EACH)
    shares = rebinned(library, embedder.low, embedder.high, embedder.channels)[own]
    return exact_counts(shares, 400, rng=np.random.default_rng(3)), own


def measured(folder: Path, embedder: Embedder) -> np.ndarray:
    """Return measured spectra of what is no pigment, under tubes, thinned to 2,000 counts on the embedder's grid."""
    sys.path.insert(0, str(Path(__file__).parents[1] / "identification"))
    from real_samples import measured as spectra_of
    from real_samples import samples

    found, rng = [], np.random.default_rng(4)
    for sample in samples():
        if sample.expected == "unknown" and sample.excitation == "tube" and not sample.files.startswith("scans"):
            for one in spectra_of(sample, folder):
                thin = rng.binomial(one.counts[:1], min(1.0, DOSES["layers"] / one.counts[0].sum())).astype(np.uint32)
                found.append(regrid(thin, one.energy, embedder.energies, key=jax.random.key(5)))
    return np.concatenate(found)


def clusters(embedder: Embedder, asked: Held) -> str:
    """Return the first table's line."""
    counts, own = pure_pigments(embedder)
    mixed, pure = (
        cluster_scores(embed(embedder, asked.counts), asked.pigment),
        cluster_scores(embed(embedder, counts), own),
    )
    return (
        f"{embedder.kind:<12}{rebuilding_score(embedder, asked.counts):>12.6f}{mixed['silhouette']:>12.3f}"
        f"{pure['silhouette_pigments']:>12.3f}{pure['ari']:>12.3f}"
    )


def held_colours(embedder: Embedder, taught: dict[str, Pool], asked: dict[str, Pool], *, folder: Path | None) -> str:
    """Return the second table's line."""
    line, key = f"{embedder.kind:<12}", jax.random.key(0)
    for kind in DOSES:
        near, far = spectra(taught[kind], kind, TAUGHT), spectra(asked[kind], kind, ASKED)
        one, other = embed(embedder, near.counts), embed(embedder, far.counts)
        line += f"{colour_score((one, near.lab), (other, far.lab), key=key):>10.2f}"
    line += f"{pigment_score((one, near.pigment), (other, far.pigment)):>10.3f}"
    strange = float("nan")
    if folder is not None:
        own = [spectra(asked[kind], kind, ASKED).counts for kind in embedder.card.recipe["canvases"]]
        usual = strangeness(embedder, np.concatenate(own))
        strange = auroc(usual, strangeness(embedder, measured(folder, embedder)))
    many = np.resize(far.counts, (TIMED, embedder.channels)).astype(np.uint16)
    embed(embedder, many[:1])
    began = process_time()
    embed(embedder, many)
    return line + f"{strange:>10.3f}{(process_time() - began) * 1e6 / TIMED:>10.1f}"


def main() -> None:
    """Print both tables."""
    asked_for, *rest = sys.argv[1:]
    folder = Path(rest.pop(rest.index("--standards") + 1)) if "--standards" in rest else None
    embedders = [load_embedder(Path(name)) for name in rest if name != "--standards"]
    canvases = CanvasFolder(Path(asked_for))
    held = {e.kind: (pools(canvases, "train", e.kind), pools(canvases, "test", e.kind)) for e in embedders}
    print(f"{'':<12}{'rebuilt':>12}{'silhouette':>12}{'pigments':>12}{'ARI':>12}")
    for embedder in embedders:
        if hasattr(embedder.net, "decode"):
            print(clusters(embedder, spectra(held[embedder.kind][1]["library"], "library", ASKED)))
    print(f"\n{'':<12}{'library':>10}{'layers':>10}{'pigment':>10}{'strange':>10}{'CPU s':>10}")
    for embedder in embedders:
        print(held_colours(embedder, *held[embedder.kind], folder=folder))


if __name__ == "__main__":
    main()
