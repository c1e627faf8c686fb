"""The findings in plain sentences, and the list of anomalous spots. Nothing found is said as plainly."""

from dataclasses import dataclass

import numpy as np
import xarray as xr

from velatura.report.panels import along, hidden_flags, number, overlap_warnings, percent, used_pixels

MOST_NAMED = 4
"""Hidden maps named in the first sentence."""
NEAR = 4
"""Odd pixels at most this many pixels apart belong to one patch."""
NUMBER_WORDS = ["No", "One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine", "Ten", "Eleven", "Twelve"]


@dataclass(frozen=True)
class Spot:
    """A patch of pixels that no cluster explains well."""

    x: int
    """Column of its strongest pixel, from 0 at the left."""
    y: int
    """Row of its strongest pixel, from 0 at the top."""
    peak: float
    """Anomaly there; 1 = the scan's 99 % quantile."""
    pixels: int
    """Pixels above 1 in its patch."""
    cluster: str
    """Nearest cluster."""


def anomalous_spots(segment: xr.Dataset, *, most: int = 10) -> list[Spot]:
    """Return the strongest anomalous patches, ranked by the sum of what their pixels have above 1.

    A patch holds pixels above 1 no more than `NEAR` pixels apart; several odd pixels go before one pixel of noise.
    """
    from scipy import ndimage

    anomaly = np.where(used_pixels(segment), np.nan_to_num(segment.anomaly.values, nan=0.0, posinf=0.0), 0.0)
    odd, square = anomaly > 1, np.ones((3, 3), bool)
    patches, count = ndimage.label(ndimage.binary_dilation(odd, square, iterations=NEAR // 2), structure=square)
    if not count:
        return []
    patches = np.where(odd, patches, 0)
    index = np.arange(1, count + 1)
    excess = ndimage.sum_labels(anomaly - 1, patches, index)
    sizes = np.bincount(patches.ravel(), minlength=count + 1)
    best = index[np.argsort(-excess, kind="stable")[:most]]
    peaks = ndimage.maximum_position(anomaly, patches, best)
    names = along(segment, "cluster", "cluster")
    labels = segment.labels.values
    return [
        Spot(int(x), int(y), float(anomaly[y, x]), int(sizes[patch]), names[labels[y, x]] if labels[y, x] >= 0 else "")
        for patch, (y, x) in zip(best, peaks, strict=True)
    ]


def counted(count: int, one: str, many: str) -> str:
    """Return a count with its noun, as a sentence begins.

    >>> counted(1, "cluster", "clusters"), counted(14, "cluster", "clusters")
    ('One cluster', '14 clusters')
    """
    word = NUMBER_WORDS[count] if count < len(NUMBER_WORDS) else str(count)
    return f"{word} {one if count == 1 else many}"


def materials_finding(segment: xr.Dataset) -> str:
    """Return one or two sentences on the materials told apart."""
    names, elements = (along(segment, name, "cluster") for name in ("cluster", "elements"))
    shares = segment.membership.sum(("y", "x")).values / max(1, int(used_pixels(segment).sum()))
    large, rare = int(np.argmax(shares)), int(np.argmin(shares))

    def named(index: int) -> str:
        held = f"; {elements[index]}" if elements[index] else ""
        return f"{names[index]} ({percent(float(shares[index]))}{held})"

    told = (
        f"{counted(len(names), 'group', 'groups')} of alike spectra {'was' if len(names) == 1 else 'were'} told apart."
    )
    return told if len(names) == 1 else f"{told} The largest is {named(large)}, the rarest {named(rare)}."


def hidden_finding(segment: xr.Dataset) -> str:
    """Return what the composite maps announce, or that nothing hidden was found."""
    if "composite" not in segment:
        return "Composite maps were not made, so nothing can be said about hidden passages."
    found = [index for index, hidden in enumerate(hidden_flags(segment)) if hidden]
    if not found:
        count = segment.sizes["proposal"]
        rest = f" {counted(count, 'join', 'joins')} of clusters can be looked at below." if count else ""
        return (
            f"Nothing hidden was found: no signature shared across visible passages is strong enough to announce.{rest}"
        )
    names, signatures, members = (along(segment, name, "proposal") for name in ("proposal", "signature", "members"))
    shown = "; ".join(f"{names[i]} ({signatures[i]}, in {spoken_join(members[i])})" for i in found[:MOST_NAMED])
    more = f" and {len(found) - MOST_NAMED} more" if len(found) > MOST_NAMED else ""
    return f"{counted(len(found), 'map is', 'maps are')} announced as possibly hidden: {shown}{more}."


def proposal_sentences(segment: xr.Dataset) -> list[tuple[str, ...]]:
    """Return for each proposal what it joins, how sure it is, and whether it is announced as hidden."""
    columns = ("members", "signature", "significance", "coherence", "passages")
    rows = zip(*(along(segment, name, "proposal") for name in columns), hidden_flags(segment), strict=True)
    told = []
    for members, signature, significance, coherence, passages, hidden in rows:
        line, _, aside = signature.partition(" without ")
        once = f" once {spoken_join(aside.replace(', ', '+'))} of the maps before are set aside" if aside else ""
        part = "Joins the parts of {} that hold" if "+" in members else "The part of {} that holds"
        more = f"more {line or 'of a common signature'} than other paint of the same surface{once}"
        sentences = [f"{part.format(spoken_join(members))} {more}."]
        if significance:
            agree = f", and neighbouring pixels agree (Moran's I {float(coherence):.2f}; 0 is chance, 1 complete)"
            sure = f"The difference is {number(float(significance))} times its uncertainty"
            sentences.append(f"{sure}{agree if coherence else ''}.")
        if hidden:
            over = f"{passages} visible passages" if passages else "visible passages"
            sentences.append(f"It crosses {over} without a change of their surface: it may lie beneath them.")
        else:
            sentences.append("It is not announced as hidden: it may belong to the visible paint.")
        told.append(tuple(sentences))
    return told


def spoken_join(members: str) -> str:
    """Return "C1+C2+C5" as "C1, C2 and C5"."""
    parts = members.split("+")
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def anomaly_finding(spots: list[Spot]) -> str:
    """Return where the oddest pixels lie and how odd they are."""
    if not spots:
        return "No pixel stands out from its cluster."
    first = spots[0]
    where = f"column {first.x}, row {first.y}"
    size = f"a patch of {first.pixels} pixels, " if first.pixels > 1 else ""
    high = f"up to {first.peak:.2g} times"
    return f"The oddest spot lies at {where}: {size}{high} the limit that 99 % of the scan keeps."


def element_findings(elements: xr.Dataset) -> list[str]:
    """Return sentences on the lines mapped, the strongest of them, and overlaps."""
    names = along(elements, "line", "line")
    totals = np.nan_to_num(elements.intensity.sum(("y", "x"), skipna=True).values)
    strongest = [names[index] for index in np.argsort(-totals)[:3]]
    sentences = [f"{counted(len(names), 'line was', 'lines were')} mapped; the strongest: {', '.join(strongest)}."]
    warnings = overlap_warnings(elements)
    if warnings:
        sentences.append(f"{counted(len(warnings), 'overlap', 'overlaps')} of lines may mislead; see the element maps.")
    return sentences
