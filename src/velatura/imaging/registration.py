"""A photograph laid onto the pixels of a scan: by control points, by its shape alone, and refined by likeness.

Positions are (x, y) from the upper left, whole numbers at the centres of pixels. A registration leads from a position
on the scan to one on the photograph; so each pixel of the scan knows where its colour is.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from scipy.ndimage import gaussian_filter

from velatura.base.errors import InputError
from velatura.imaging.colour import as_srgb

KINDS = {"affine": 3, "projective": 4}  # and the least number of points that fixes them
CLEARLY = 0.5  # of the affine fit's squared distances: less makes the projective one worth its two parameters more
LINE = 1e-3  # points are on one line when they spread across it by less than this share of their length
RESIZED = 0.02  # largest difference of the ratios of width to height that passes for the same shape
REFINED_SIDE = 160  # pixels of the longer side on which the refinement looks
BLURS = (4.0, 2.0, 1.0)  # of those pixels, standard deviations, one after the other
REACH = 0.04  # of the longer side, how far a refinement may move a corner


class Registration(NamedTuple):
    """Where the pixels of a scan lie on a photograph."""

    matrix: np.ndarray
    """float64 [3, 3], homogeneous: from (x, y, 1) on the scan to the photograph."""
    kind: str
    """affine, projective or resized; with `, refined` when it was."""
    residuals: np.ndarray
    """Distance between each control point and where the fit puts it [pixels of the scan], float64 [point]."""
    left_out: np.ndarray
    """The same by a fit without that point; empty where the others would not suffice."""


def register_points(scan: np.ndarray, photo: np.ndarray, *, kind: str | None = None) -> Registration:
    """Return the registration that fits control points best (least squares).

    scan, photo: the same points (x, y) on both, [point, 2]; kind: affine, from three points, or projective, from four
    (Hartley and Zisserman, Multiple View Geometry, 2004, chapter 4); None: affine for three, projective for four, and
    for more affine, unless projective tells points it did not see with less than half the squared distances. Raises
    InputError for too few points and for points on one line.
    """
    scan, photo = np.asarray(scan, np.float64), np.asarray(photo, np.float64)
    if scan.ndim != 2 or scan.shape != photo.shape or scan.shape[1:] != (2,):
        raise InputError(f"control points are (x, y) on both images; found shapes {scan.shape} and {photo.shape}")
    if kind is not None and kind not in KINDS:
        raise InputError(f"asked for a {kind!r} registration; known are {', '.join(KINDS)}")
    if len(scan) < (least := KINDS[kind or "affine"]):
        raise InputError(f"asked for {least} control points or more; found {len(scan)}. Add points that both show")
    for name, points in (("scan", scan), ("photograph", photo)):
        spread = np.linalg.svd(points - points.mean(axis=0), compute_uv=False)
        if not spread[1] > LINE * spread[0]:
            raise InputError(f"the control points lie on one line of the {name}. Spread them over the picture")
    if kind is None:
        kind = "affine" if len(scan) == KINDS["affine"] else "projective"
        if len(scan) > KINDS["projective"]:
            plain, bent = (float(np.mean(_left_out(scan, photo, name) ** 2)) for name in KINDS)
            kind = "projective" if bent < CLEARLY * plain else "affine"
    matrix = _fitted(scan, photo, kind)
    return Registration(matrix, kind, _distances(matrix, scan, photo), _left_out(scan, photo, kind))


def register_resized(photo_shape: tuple[int, int], shape: tuple[int, int]) -> Registration:
    """Return the registration of a photograph that shows just the scanned area; shapes are (height, width).

    Raises InputError when the ratios of width to height differ by more than 2 %.
    """
    (tall, wide), (height, width) = photo_shape, shape
    if abs(np.log(wide * height / (tall * width))) > RESIZED:
        raise InputError(
            f"without control points the photograph must show just the scan, {width} x {height}; found the shape "
            f"{wide} x {tall}. Crop it, or give points: a CSV file with x_scan,y_scan,x_photo,y_photo"
        )
    across, down = wide / width, tall / height
    matrix = np.array([[across, 0, (across - 1) / 2], [0, down, (down - 1) / 2], [0, 0, 1]])
    return Registration(matrix, "resized", np.zeros(0), np.zeros(0))


def warped(photo: np.ndarray, registration: Registration, shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Return the photograph on the pixels of a scan: rgb float32 [y, x, 3] 0 to 1, and covered bool [y, x].

    photo: sRGB [y, x, 3], whole numbers of 0 to 255 or floating point of 0 to 1; shape: (height, width) of the scan.
    A finer photograph is averaged over each pixel of the scan, as stored. Where nothing was photographed the colour is
    that of the nearest edge, and `covered` is False.
    """
    from skimage.transform import ProjectiveTransform, warp

    as_srgb(photo if photo.dtype.kind == "f" else photo[:1, :1])
    places = placed(registration.matrix, shape)
    tall, wide = photo.shape[:2]
    covered = (places > -0.5).all(axis=-1) & (places[..., 0] < wide - 0.5) & (places[..., 1] < tall - 0.5)
    factor = max(1, int(_scale(registration.matrix, shape) + 1e-6))
    small = as_srgb(_averaged(photo, factor))
    shrink = np.array([[1 / factor, 0, 0.5 / factor - 0.5], [0, 1 / factor, 0.5 / factor - 0.5], [0, 0, 1]])
    back = ProjectiveTransform(shrink @ registration.matrix)
    rgb = warp(small, back, output_shape=shape, order=1, mode="edge", preserve_range=True)
    return np.clip(rgb, 0, 1).astype(np.float32), covered


def placed(matrix: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Return where each pixel of a scan lies on the photograph, (x, y) float64 [y, x, 2]; NaN behind the camera."""
    y, x = np.indices(shape, np.float64)
    return _moved(matrix, np.stack([x, y], axis=-1))


def refined(
    registration: Registration, photo: np.ndarray, maps: np.ndarray, *, used: np.ndarray | None = None
) -> tuple[Registration, float, float]:
    """Return a registration moved so that the scan explains the photograph better, with that share before and after.

    photo: as for `warped`; maps: what the scan shows, float [y, x, map], e.g. element maps or an embedding; used: bool
    [y, x], pixels to look at. The share is the coefficient of determination of the photograph's colours as a linear
    function of the maps, pixel by pixel, 0 to 1: the correlation that is sought is the best there is of any mixture of
    maps. Corners move by at most 4 % of the longer side, by Powell's search (Powell, Computer Journal 7 (1964) 155)
    from coarse to fine. A registration that gains nothing comes back as it was, and so does
    that of a scan of which only one row or one column is looked at. Nothing is random.
    """
    shape = maps.shape[:2]
    step = max(1, round(max(shape) / REFINED_SIDE))
    few, size = maps[::step, ::step], (len(range(0, shape[0], step)), len(range(0, shape[1], step)))
    matrix = registration.matrix @ np.diag([step, step, 1.0])
    inside = warped(photo, registration._replace(matrix=matrix), size)[1]
    if used is not None:
        inside &= used[::step, ::step]
    corners = np.array([[0, 0], [size[1] - 1, 0], [0, size[0] - 1], [size[1] - 1, size[0] - 1]], np.float64)
    if min(size) < 2 or inside.sum() < 16 * few.shape[-1]:  # corners on one line fix nothing
        return registration, 0.0, 0.0
    best = np.zeros(8 if registration.kind == "projective" else 6)
    options = {"inside": inside, "corners": corners}
    for blur in BLURS:
        share = _likeness(photo, registration._replace(matrix=matrix), few, blur=blur, **options)
        best = _climbed(share, best, REACH * max(size), first_step=2 * blur)
    share = _likeness(photo, registration._replace(matrix=matrix), few, blur=BLURS[-1], **options)
    first, last = share(np.zeros_like(best)), share(best)
    if last <= first:
        return registration, first, first
    moved = matrix @ _cornered(corners, best) @ np.diag([1 / step, 1 / step, 1.0])
    return registration._replace(matrix=moved / moved[2, 2], kind=f"{registration.kind}, refined"), first, last


def _likeness(
    photo: np.ndarray, start: Registration, maps: np.ndarray, *, inside: np.ndarray, corners: np.ndarray, blur: float
) -> Callable[[np.ndarray], float]:
    """Share of the photograph that a linear function of maps explains, as a function of how corners are moved."""
    smooth = gaussian_filter(np.asarray(maps, np.float64), (blur, blur, 0))[inside]
    basis = np.linalg.qr(np.column_stack([np.ones(len(smooth)), smooth]))[0]

    def share(moves: np.ndarray) -> float:
        rgb, _ = warped(photo, start._replace(matrix=start.matrix @ _cornered(corners, moves)), inside.shape)
        colours = gaussian_filter(rgb, (blur, blur, 0))[inside].astype(np.float64)
        colours -= colours.mean(axis=0)
        return float(((basis.T @ colours) ** 2).sum() / max((colours**2).sum(), 1e-12))

    return share


def _climbed(share: Callable[[np.ndarray], float], start: np.ndarray, reach: float, *, first_step: float) -> np.ndarray:
    """Moves of the corners within +-reach [pixels] that raise the share."""
    from scipy.optimize import minimize

    size = len(start)
    pattern = np.eye(size)
    pattern[0], pattern[1] = np.tile([1.0, 0.0], size // 2), np.tile([0.0, 1.0], size // 2)  # all together first
    limits = [(-reach, reach)] * size
    options = {"direc": first_step * pattern, "xtol": 0.02, "ftol": 1e-5, "maxiter": 3}
    found = minimize(lambda moves: -share(moves), start, method="Powell", bounds=limits, options=options)
    return found.x if -found.fun > share(start) else start


def _cornered(corners: np.ndarray, moves: np.ndarray) -> np.ndarray:
    """Homogeneous matrix [3, 3] that moves three corners (affine) or four (projective) by so much, (x, y) in turn."""
    there = moves.reshape(-1, 2)
    kind = "affine" if len(there) == KINDS["affine"] else "projective"
    return _fitted(corners[: len(there)], corners[: len(there)] + there, kind)


def _fitted(scan: np.ndarray, photo: np.ndarray, kind: str) -> np.ndarray:
    """Matrix [3, 3] of the least squared distances on the photograph."""
    if kind == "affine":
        rows = np.linalg.lstsq(np.column_stack([scan, np.ones(len(scan))]), photo, rcond=None)[0]
        return np.vstack([rows.T, [0, 0, 1]])
    from scipy.optimize import least_squares
    from skimage import transform

    kind_of: Any = transform.ProjectiveTransform  # whose `from_estimate` its stubs do not tell
    found = kind_of.from_estimate(scan, photo)
    if not found or not np.isfinite(_moved(found.params, scan)).all():
        raise InputError("no projective registration fits these control points. Check that none are exchanged")
    matrix = np.asarray(found.params / found.params[2, 2], np.float64)
    if len(scan) == KINDS[kind]:
        return matrix
    size = np.abs(matrix).ravel()[:8] + 1e-6

    def gaps(values: np.ndarray) -> np.ndarray:
        x, y, depth = np.append(values, 1).reshape(3, 3) @ np.vstack([scan.T, np.ones(len(scan))])
        return np.concatenate([x / depth, y / depth]) - photo.T.ravel()

    return np.append(least_squares(gaps, matrix.ravel()[:8], x_scale=size).x, 1).reshape(3, 3)


def _left_out(scan: np.ndarray, photo: np.ndarray, kind: str) -> np.ndarray:
    """Distance [pixels of the scan] of each point from where a fit of the others puts it; endless where none fits."""
    if len(scan) <= KINDS[kind]:
        return np.zeros(0)
    found = np.full(len(scan), np.inf)
    for point in range(len(scan)):
        others = np.arange(len(scan)) != point
        try:
            matrix = _fitted(scan[others], photo[others], kind)
        except InputError:
            continue
        found[point] = _distances(matrix, scan[[point]], photo[[point]])[0]
    return found


def _distances(matrix: np.ndarray, scan: np.ndarray, photo: np.ndarray) -> np.ndarray:
    """Distance of each point from its fit, measured on the scan."""
    return np.linalg.norm(_moved(np.linalg.inv(matrix), photo) - scan, axis=-1)


def _moved(matrix: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Points (x, y) [..., 2] through a homogeneous matrix; NaN where they are behind the camera."""
    x, y, depth = np.moveaxis(points @ matrix[:, :2].T + matrix[:, 2], -1, 0)
    safe = np.where(depth > 1e-9, depth, np.nan)
    return np.stack([x / safe, y / safe], axis=-1)


def _scale(matrix: np.ndarray, shape: tuple[int, int]) -> float:
    """Pixels of the photograph to one of the scan, each way, at its centre."""
    x, y = (shape[1] - 1) / 2, (shape[0] - 1) / 2
    here = _moved(matrix, np.array([[x, y], [x + 1, y], [x, y + 1]]))
    area = np.linalg.det(np.stack([here[1] - here[0], here[2] - here[0]]))
    return float(np.sqrt(abs(area))) if np.isfinite(area) else 1.0


def _averaged(photo: np.ndarray, factor: int) -> np.ndarray:
    """Mean over blocks of `factor` pixels each way (the last may be smaller), float32 0 to 1."""
    top = np.float32(1.0 if photo.dtype.kind == "f" else 255.0)
    for axis in (0, 1):
        starts = np.arange(0, photo.shape[axis], factor)
        sizes = np.diff([*starts, photo.shape[axis]]).astype(np.float32)
        sums = np.add.reduceat(photo, starts, axis=axis, dtype=np.float32)
        photo = sums / np.expand_dims(sizes, tuple(k for k in range(3) if k != axis))
    return np.clip(photo / top, 0, 1)
