"""Recipes of recolourers by name: the published one, ours, and those that differ from ours in one thing each."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from velatura.train.recipes import chosen_recipe

CHOICES: Mapping[str, str] = MappingProxyType({
    "image": "128 x 128 pixels (not published)",
    "optimiser": "AdamW, weight decay .01 (not published)",
    "schedule": "rate halved after 5 epochs without a better MS-SSIM of validation pictures (only the kind published)",
    "dropout": "dropout and stochastic depth .1 (that they are equal is published)",
    "augmentation": "turns by 90 degrees and mirror images (not published)",
    "loss": "redmean on colours of 0 to 1, mean over pixels (scale not published)",
    "skips": "added (follows from the number of parameters)",
    "counts": "400 a pixel (that of ganX)",
})  # fmt: skip
"""What the publication leaves open, in the model card of the recipe "paper"."""


@dataclass(frozen=True)
class Recipe:
    """How weights are made; the same recipe on the same canvases gives the same weights on the same machine."""

    design: str = "velatura"
    """small-uvit, vit, unet, pixels or velatura."""
    embedder: str = "velatura"
    """Name of the embedder that makes the features: velatura, paper or pigments."""
    kinds: tuple[str, ...] = ("library", "layers")
    """Kinds of canvases."""
    doses: tuple[float, ...] = (400.0, 2000.0, 10000.0)
    """Mean counts of a pixel, each picture at one of them."""
    loss: str = "perceptual"
    """redmean, l1 or perceptual."""
    error: bool = True
    """Whether the network tells its expected error."""
    judge: int = 400
    """Steps of teaching a judge, which corrects that, on held-out pictures; 0: none."""
    epochs: float = 20.0
    """Times that every picture is seen, on the mean."""
    steps: int = 0
    """Updates of the weights, in place of epochs where above 0."""
    size: int = 16
    """Pictures in a step."""
    rate: float = 1e-3
    """Largest learning rate."""
    schedule: str = "cosine"
    """cosine or plateau."""
    pretrain: float = 0.0
    """Steps of guessing hidden squares before the colours, as a share of the steps."""
    critic: float = 0.0
    """Weight of a critic's verdict (Pix2Pix); 0.01 is the published one beside an L1 loss."""
    seed: int = 0
    side: int = 128
    """Pixels of the square pictures."""


VELATURA = Recipe()
RECIPES: Mapping[str, Recipe] = MappingProxyType({
    "velatura": VELATURA,
    "paper": Recipe(
        design="small-uvit", embedder="paper", kinds=("library",), doses=(400.0,), loss="redmean", error=False,
        judge=0, epochs=100.0, schedule="plateau",
    ),
    "short": replace(VELATURA, steps=300),
    "uvit": replace(VELATURA, design="small-uvit"),
    "vit": replace(VELATURA, design="vit"),
    "unet": replace(VELATURA, design="unet", rate=5e-4),  # it diverges at 1e-3
    "pixels": replace(VELATURA, design="pixels"),
    "velatura-embedding": replace(VELATURA, embedder="paper"),
    "velatura-pigments": replace(VELATURA, embedder="pigments"),
    "pretrained": replace(VELATURA, pretrain=0.5),
    "pix2pix": replace(VELATURA, design="small-uvit", critic=0.01),
})  # fmt: skip


def recipe_named(name: str, **changes: Any) -> Recipe:
    """Return one of RECIPES with some values changed (None: not changed). Raises InputError for an unknown name."""
    return chosen_recipe(RECIPES, name, **changes)
