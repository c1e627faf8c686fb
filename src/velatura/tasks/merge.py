"""Join clusters of a result that the eye says are one: over-segment first, then merge by name."""

import json

import numpy as np
import xarray as xr

from velatura.base.errors import InputError, did_you_mean
from velatura.tasks.cluster_elements import cluster_elements
from velatura.tasks.cluster_spectra import ClusterSpectra
from velatura.tasks.segment_maps import entropy, in_place, merge_parts


def merge(maps: xr.Dataset, join: str) -> xr.Dataset:
    """Return the maps with clusters joined, as "C2+C5" or several at once, "C2+C5,C1+C7+C8".

    maps: a result of `segment` or of `merge`. Memberships, shares and weights of the members are added, their spectra
    averaged by weight; labels, ambiguity, elements and contrast are worked out anew. The joined cluster takes the place
    of its first member and the colour of its largest one. Applying the result to another scan (`clusters_from`) joins
    there too. Raises InputError for an unknown cluster, one named twice, and a join of fewer than two.
    """
    names = [str(name) for name in maps.cluster.values]
    joined = _joined(join, names)
    owner = np.arange(len(names))
    for members in joined:
        owner[members] = min(members)
    kept, belongs = np.unique(owner, return_inverse=True)
    new_names = ["+".join(names[k] for k in np.flatnonzero(owner == first)) for first in kept]
    used, spectra = maps.used.values, _mean_spectra(maps, belongs)
    named = cluster_elements(
        spectra, maps.energy.values, pixels=int(used.sum()), acquisition=json.loads(maps.attrs["acquisition"])
    )
    share = maps.share.values
    largest = [max(np.flatnonzero(belongs == k), key=lambda member: share[member]) for k in range(len(kept))]
    membership = merge_parts(maps.membership.values[:, used], belongs)
    every = [membership, maps.noise.values[None, used]] if "noise" in maps else [membership]
    image = ("y", "x")
    rest = maps.drop_vars([name for name in maps.variables if "cluster" in maps[name].dims])
    return rest.assign(
        membership=(("cluster", *image), in_place(membership, used, fill=0)),
        labels=(image, in_place(membership.argmax(0).astype(np.int16), used, fill=-1)),
        entropy=(image, in_place(entropy(np.concatenate(every)), used, fill=np.nan)),
        spectrum=(("cluster", "energy"), spectra.spectrum, maps.spectrum.attrs),
        spectrum_error=(("cluster", "energy"), spectra.error, maps.spectrum_error.attrs),
        part_of=("part", belongs[maps.part_of.values].astype(np.int16)),
    ).assign_coords(
        {
            "cluster": new_names,
            "colour": ("cluster", maps.colour.values[largest]),
            "share": ("cluster", np.bincount(belongs, share)),
            "mass": ("cluster", spectra.mass),
            "elements": ("cluster", list(named.elements)),
            "contrast": ("cluster", list(named.contrast)),
            **_renamed_members(maps, dict(zip(names, [new_names[k] for k in belongs], strict=True))),
        }
    )


def _mean_spectra(maps: xr.Dataset, belongs: np.ndarray) -> ClusterSpectra:
    """Spectra of the joined clusters: means by weight, with their errors; belongs: int [old cluster], its new one."""
    mass = maps.mass.values
    weights = np.equal(belongs, np.arange(belongs.max() + 1)[:, None]) * mass
    weights /= np.maximum(weights.sum(1, keepdims=True), np.finfo(np.float32).tiny)
    return ClusterSpectra(
        spectrum=weights @ maps.spectrum.values,
        error=np.sqrt(weights**2 @ maps.spectrum_error.values**2),
        mean=maps.mean_spectrum.values,
        mass=np.bincount(belongs, mass),
    )


def _joined(join: str, names: list[str]) -> list[list[int]]:
    """The numbers of the clusters of each group."""
    groups = [[name.strip() for name in group.split("+")] for group in join.split(",")]
    asked = [name for group in groups for name in group]
    for name in asked:
        if name not in names:
            raise InputError(f"no cluster {name!r}{did_you_mean(name, names)}; there are {', '.join(names)}")
    if len(set(asked)) < len(asked) or min(map(len, groups)) < 2:
        raise InputError(f'a join names two or more different clusters, like "C2+C5"; found {join!r}')
    return [[names.index(name) for name in group] for group in groups]


def _renamed_members(maps: xr.Dataset, name_now: dict[str, str]) -> dict[str, tuple[str, list[str]]]:
    """The clusters of each composite map by their new names."""
    if "members" not in maps.coords:
        return {}
    members = [[name_now.get(name, name) for name in str(text).split("+")] for text in maps.members.values]
    return {"members": ("proposal", ["+".join(dict.fromkeys(one)) for one in members])}
