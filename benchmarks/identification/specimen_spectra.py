"""Spectra of real materials that are no pigments: pieces of them, and paints into which they are stirred."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from spectra_sets import UNKNOWN, Spectra, joined, of_drawn, read_set, specimen_draw, write_set

from velatura.physics.simulate import prepare
from velatura.scene.classes import xrf_classes
from velatura.scene.evidence_bank import Labels, labels_of
from velatura.scene.sampler import Sampling, sample_elements, sample_stacks
from velatura.scene.sources import SourceGroup, read_group, sources_of
from velatura.scene.specimens import specimen_table, specimens

CERTAIN = 1e6  # evidence of a piece, which is all that there is


def specimen_set(bank: Path, numbers: Sequence[int], *, mixed: bool, stacks: int, cache: Path) -> Spectra:
    """Return spectra of specimens before the tubes of some groups; `group` is the number of the specimen, -1 for none.

    mixed: stirred into paint with pigments, visible or hidden, in place of bare pieces.
    """
    name = "mixed" if mixed else "bulk"
    path = cache / f"set-{name}-{len(numbers)}x{stacks}.npz"
    if path.is_file():
        return read_set(path)
    parts = [_one_group(bank, number, mixed=mixed, stacks=stacks) for number in numbers]
    return write_set(path, joined(parts))


def specimen_sampling(*, mixed: bool) -> Sampling:
    """Return how stacks with specimens are drawn."""
    names = tuple(row.material.name for row in specimens() if row.mixes or not mixed)
    table = specimen_table()
    pigments = tuple(name for name, row in table.items() if row.kind == "pigment" and row.xrf_class)
    if mixed:
        return Sampling(palette=(*pigments, *names), table=table, balance=0.5)
    return Sampling(palette=(*pigments, *names), pieces=names, bare=1.0, table=table)


def _one_group(bank: Path, number: int, *, mixed: bool, stacks: int) -> Spectra:
    options = specimen_sampling(mixed=mixed)
    classes = xrf_classes(options.table)
    classes = [row for row in classes if not _left_out(row.name, mixed=mixed)]
    group = _source_group(read_group(bank / f"{number:04d}.npz"), classes, options, number, mixed=mixed, stacks=stacks)
    drawn = specimen_draw(group, classes, stacks, seed=number)
    known = len(xrf_classes())
    strange = drawn.labels[..., known:]
    which = np.where(strange.any(axis=(1, 2)), strange.any(axis=1).argmax(axis=1), UNKNOWN)
    there = strange.any(axis=-1, keepdims=True)
    seen = (strange & drawn.mask[..., known:]).any(axis=-1, keepdims=True)
    folded = drawn._replace(
        labels=np.concatenate([drawn.labels[..., :known], there], axis=-1),
        mask=np.concatenate([drawn.mask[..., :known], ~there | seen], axis=-1),
        share=np.concatenate([drawn.share[..., :known], drawn.share[..., known:].sum(-1, keepdims=True)], axis=-1),
    )
    return of_drawn(folded, which)


def _left_out(name: str, *, mixed: bool) -> bool:
    return mixed and name in {row.material.name for row in specimens() if not row.mixes}


def _source_group(
    like: SourceGroup, classes: Sequence, options: Sampling, number: int, *, mixed: bool, stacks: int
) -> SourceGroup:
    """Stacks with specimens before the tube of another group."""
    scanner = prepare(like.instrument, sample_elements(options))
    rng = np.random.default_rng((number, 7, int(mixed)))
    sampled = sample_stacks(stacks, scanner.elements, options=options, rng=rng)
    photons, energy, lines = sources_of(sampled.packed, scanner, cells=2)
    if mixed:
        labels = labels_of(sampled, scanner, classes, options=options)
    else:
        share = _piece_shares(sampled.volume_share, options, classes)
        certain = CERTAIN * share
        labels = Labels(certain, np.zeros(stacks), share, 0.1 * share, np.full_like(share, np.inf), certain)
    return SourceGroup(photons, energy, lines, labels, stacks, like.instrument)


def _piece_shares(volume: np.ndarray, options: Sampling, classes: Sequence) -> np.ndarray:
    """Shares [stack, paint, class] of pieces: each is a class of its own."""
    owner = {member: number for number, row in enumerate(classes) for member in row.members}
    share = np.zeros((*volume.shape[:2], len(classes)), np.float32)
    for column, name in enumerate(options.palette):
        share[..., owner[name]] += volume[..., column]
    return share
