"""A trained recolourer ready for use: embedded cubes in, colours with their expected error and a trust map out."""

import hashlib
from pathlib import Path
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, PRNGKeyArray, PyTree

from velatura.base.errors import FileFormatError, InputError
from velatura.base.progress import Progress, silent
from velatura.nn.image_nets import build_image_net
from velatura.nn.judged_net import Judge, JudgedNet
from velatura.tasks.embedding_model import Embedder, load_embedder
from velatura.tasks.recolour_tiles import tiled
from velatura.train.weights import ModelCard, load_weights, read_card, save_weights, shipped_file

SHIPPED = {"velatura": "recolour.safetensors", "paper": "recolour-paper.safetensors"}
RIGHT = 15.0  # CIEDE2000 up to which a colour counts as right: the same colour by name, in another tone
ORDINARY = 0.9  # spectra stranger than this share of the training's lose trust
KNOTS = 65  # of the calibration
MOST_ERROR = 100.0  # CIEDE2000 of black and white


class Calibration(NamedTuple):
    """What paintings that no training saw taught about the errors; float32 [knot], all monotone."""

    told: np.ndarray
    """What the network tells of its error: of a fourth output, else the spread between orientations; rising."""
    error: np.ndarray
    """Mean CIEDE2000 of such pixels; rising."""
    right: np.ndarray
    """Share of such pixels whose CIEDE2000 is at most 15; falling."""


class Recolourer(NamedTuple):
    """A network from embedded cubes to colours."""

    net: Any
    """An Equinox module, see `nn.image_nets`."""
    embedder: str
    """Name of the embedder whose features it was taught with."""
    side: int
    """Pixels of a tile."""
    calibration: Calibration
    card: ModelCard

    @property
    def features(self) -> int:
        """Number of features of an embedded pixel."""
        return int(self.card.architecture["inputs"])

    @property
    def flips(self) -> int:
        """Orientations to average: 4 where only their spread tells of the error, else 1."""
        build = self.card.architecture
        return 1 if build["outputs"] > 3 or build.get("judged") else 4


class Recoloured(NamedTuple):
    """How a painting may have looked; NaN where a pixel was left out."""

    rgb: np.ndarray
    """Colours (sRGB, 0 to 1), float32 [y, x, 3]."""
    error: np.ndarray
    """Expected CIEDE2000 from the true colours, float32 [y, x]."""
    trust: np.ndarray
    """Probability that a colour lies within 15 CIEDE2000 of the true one, less where spectra are strange [y, x]."""


def shipped(name: str = "velatura") -> Path | None:
    """Return the file of weights that come with the package, "velatura" or "paper"; None where they were left out."""
    return shipped_file(SHIPPED.get(name))


def architecture(
    design: str, *, inputs: int, outputs: int, side: int, embedder: str, judged: bool = False
) -> dict[str, Any]:
    """Return what a model card says of a recolourer's build; judged: with a judge of its errors (`nn.judged_net`)."""
    build = {"design": design, "inputs": inputs, "outputs": outputs, "side": side, "embedder": embedder}
    return build | {"judged": judged}


def load_recolourer(name: str | Path = "velatura") -> Recolourer:
    """Load the shipped weights "velatura" or "paper", or those of a file.

    Raises InputError where there are none, FileFormatError for a file of another kind of network.
    """
    path = shipped(str(name)) or Path(name)
    if not path.is_file():
        raise InputError(
            f"no weights {str(name)!r}: neither shipped ({', '.join(SHIPPED)}) nor a file. "
            "Train some: velatura train recolour"
        )
    card = read_card(path)
    build = dict(card.architecture)
    if set(build) - {"judged"} != {"design", "inputs", "outputs", "side", "embedder"}:
        raise FileFormatError(f"{path} holds no recolourer but {build.get('design')!r}. Choose another file")
    like = eqx.filter_eval_shape(lambda: (_built(build, key=jax.random.key(0)), _on_device(uncalibrated())))
    net, arrays = load_weights(path, like, architecture=build)
    return Recolourer(net, build["embedder"], build["side"], Calibration(*map(np.asarray, arrays)), card)


def save_recolourer(path: Path, recolourer: Recolourer) -> None:
    """Write a recolourer as float16; the card names design, embedder, recipe and scores."""
    save_weights(path, (recolourer.net, _on_device(recolourer.calibration)), recolourer.card, half=True)


def untrained(
    design: str, *, inputs: int, outputs: int = 4, side: int = 128, embedder: str = "velatura", judged: bool = False,
    key: PRNGKeyArray,
) -> Recolourer:  # fmt: skip
    """Return a recolourer of random weights, calibrated to nothing: a start of training, and for tests."""
    build = architecture(design, inputs=inputs, outputs=outputs, side=side, embedder=embedder, judged=judged)
    return Recolourer(_built(build, key=key), embedder, side, uncalibrated(), ModelCard(build, {}, 0, {}))


def recolour(
    recolourer: Recolourer,
    embedded: Float[np.ndarray, "y x feature"],
    *,
    strangeness: Float[np.ndarray, "y x"] | None = None,
    valid: Bool[np.ndarray, "y x"] | None = None,
    overlap: int | None = None,
    flips: int | None = None,
    progress: Progress = silent,
) -> Recoloured:
    """Recolour an embedded cube of any size.

    strangeness: share of the training's spectra that are less strange, 0 to 1; trust is multiplied by (1 - strangeness)
    / 0.1 above 0.9, so that it is that of the colours for ordinary spectra and 0 for those stranger than all. valid:
    pixels that count; the others are shown to the network as the mean spectrum and come back as NaN. overlap: pixels
    that tiles share, by default a quarter of a tile. flips: orientations to average, 1 or 4; by default 4 for networks
    without an output for their error, whose spread tells of it, else 1.
    Raises InputError for features, masks or options that do not fit.
    """
    overlap = recolourer.side // 4 if overlap is None else overlap
    flips = flips or recolourer.flips
    _check(recolourer, embedded, strangeness, valid, overlap=overlap, flips=flips)
    shown = np.asarray(embedded, np.float32)
    if valid is not None:
        shown = np.where(valid[..., None], shown, np.float32(0))
    raw = tiled(recolourer.net, shown, side=recolourer.side, overlap=overlap, flips=flips, progress=progress)
    rgb, (error, trust) = np.clip(raw[..., :3], 0, 1), calibrated(raw[..., 3], recolourer.calibration)
    if strangeness is not None:
        trust = trust * familiar(strangeness)
    found = Recoloured(rgb, error, trust)
    if valid is not None:
        for image in found:
            image[~valid] = np.nan
    return found


def fingerprint(embedder: Embedder) -> str:
    """Return eight digits that tell an embedder's weights, as they are kept in files, from all others."""
    leaves, sums = jax.tree.leaves((embedder.net, embedder.calibration)), hashlib.sha256()
    for array in (np.asarray(leaf) for leaf in leaves if isinstance(leaf, (jax.Array, np.ndarray))):
        sums.update((array.astype(np.float16) if array.dtype.kind == "f" else array).tobytes())
    return sums.hexdigest()[:8]


def embedder_for(recolourer: Recolourer, name: str | Path | None = None) -> Embedder:
    """Load the embedder that a recolourer was taught with: shipped, by its name, or of a file.

    Raises InputError where there is none, or where its weights are others than those of the training.
    """
    embedder = load_embedder(name or recolourer.embedder)
    asked = recolourer.card.details.get("embedding")
    if asked is not None and (found := fingerprint(embedder)) != asked:
        raise InputError(
            f"these colours were taught with the embedder {recolourer.embedder!r} {asked}; found {found}. "
            "Give its file, or train again"
        )
    return embedder


def calibrated(told: np.ndarray, calibration: Calibration) -> tuple[np.ndarray, np.ndarray]:
    """Return the expected CIEDE2000 and the probability of at most 15, float32, of what a network tells [...]."""
    curves = calibration.error, calibration.right
    error, right = (np.interp(told, calibration.told, curve).astype(np.float32) for curve in curves)
    return error, right


def familiar(strangeness: np.ndarray) -> np.ndarray:
    """Return by how much trust is multiplied: 1 up to a strangeness of 0.9, falling to 0 at 1; float32."""
    return np.clip((1 - np.asarray(strangeness, np.float32)) / np.float32(1 - ORDINARY), 0, 1)


def calibrated_by(told: np.ndarray, error: np.ndarray) -> Calibration:
    """Learn a calibration from pixels [n]: what the network told of them, and their true CIEDE2000.

    Pixels are put into 64 groups of like size by what was told; over these, error rises and the share of right colours
    falls (isotonic regression: Barlow and Brunk, J. Am. Stat. Assoc. 67 (1972) 140).
    """
    from sklearn.isotonic import IsotonicRegression

    order = np.argsort(told, kind="stable")
    groups = [part for part in np.array_split(order, KNOTS) if len(part)]
    centres = np.array([told[part].mean() for part in groups])
    sizes = np.array([len(part) for part in groups])
    means = np.array([error[part].mean() for part in groups]), np.array([(error[p] <= RIGHT).mean() for p in groups])
    curves = [
        IsotonicRegression(increasing=rising).fit_transform(centres, mean, sample_weight=sizes)
        for rising, mean in zip((True, False), means, strict=True)
    ]
    positions = np.linspace(0, len(groups) - 1, KNOTS)
    known = np.arange(len(groups))
    return Calibration(*(np.interp(positions, known, row).astype(np.float32) for row in (centres, *curves)))


def uncalibrated() -> Calibration:
    """Return the calibration that takes what is told as the mean of an exponential distribution of CIEDE2000."""
    told = np.linspace(0, MOST_ERROR, KNOTS, dtype=np.float32)
    return Calibration(told, told, 1 - np.exp(-RIGHT / np.maximum(told, 1e-3)))


def _check(
    recolourer: Recolourer,
    embedded: np.ndarray,
    strangeness: np.ndarray | None,
    valid: np.ndarray | None,
    *,
    overlap: int,
    flips: int,
) -> None:
    if np.ndim(embedded) != 3 or embedded.shape[2] != recolourer.features or 0 in embedded.shape:
        raise InputError(
            f"an embedded cube [y, x, {recolourer.features}] of the embedder {recolourer.embedder!r} was asked for; "
            f"found {np.shape(embedded)}. Embed the cube with that embedder"
        )
    for name, image in (("strangeness", strangeness), ("valid", valid)):
        if image is not None and np.shape(image) != embedded.shape[:2]:
            raise InputError(f"{name} must be {embedded.shape[:2]} as the cube; found {np.shape(image)}")
    if not 0 <= overlap < recolourer.side:
        raise InputError(f"tiles of {recolourer.side} pixels can share 0 to {recolourer.side - 1}; asked for {overlap}")
    if flips not in (1, 4):
        raise InputError(f"1 or 4 orientations can be averaged; asked for {flips}")


def _built(build: dict[str, Any], *, key: PRNGKeyArray) -> Any:
    inputs, outputs = build["inputs"], build["outputs"]
    net = build_image_net(build["design"], inputs=inputs, outputs=outputs, side=build["side"], key=key)
    return JudgedNet(net, Judge(inputs=inputs + outputs, key=key)) if build.get("judged") else net


def _on_device(calibration: Calibration) -> PyTree[Array]:
    return tuple(jnp.asarray(values, jnp.float32) for values in calibration)
