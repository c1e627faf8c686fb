"""Registration: known transforms come back, colours land where they belong, nonsense is refused."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from velatura.base.errors import InputError
from velatura.imaging.registration import placed, refined, register_points, register_resized, warped

AFFINE = np.array([[2.9, 0.3, 12.0], [-0.2, 3.1, 9.0], [0, 0, 1]])
PROJECTIVE = np.array([[2.9, 0.3, 12.0], [-0.2, 3.1, 9.0], [1e-3, 5e-4, 1]])
SCAN = np.array([[2, 3], [55, 4], [50, 40], [5, 38], [30, 20], [12, 30]], float)


def seen(matrix: np.ndarray, points: np.ndarray) -> np.ndarray:
    whole = np.column_stack([points, np.ones(len(points))]) @ matrix.T
    return whole[:, :2] / whole[:, 2:]


def picture(shape: tuple[int, int], rng: np.random.Generator, *, blur: float) -> np.ndarray:
    smooth = gaussian_filter(rng.normal(size=(*shape, 3)), (blur, blur, 0))
    return np.clip(0.5 + 0.15 * smooth / smooth.std(), 0, 1)


@pytest.mark.parametrize(("matrix", "kind", "points"), [(AFFINE, "affine", 3), (PROJECTIVE, "projective", 4)])
def test_exact_points_give_back_their_transform(matrix: np.ndarray, kind: str, points: int) -> None:
    found = register_points(SCAN[:points], seen(matrix, SCAN[:points]))
    assert found.kind == kind
    np.testing.assert_allclose(found.matrix, matrix, rtol=1e-8, atol=1e-8)
    assert found.residuals.max() < 1e-8
    assert found.left_out.size == 0


@pytest.mark.parametrize(("matrix", "kind"), [(AFFINE, "affine"), (PROJECTIVE, "projective")])
def test_points_left_out_choose_the_kind(matrix: np.ndarray, kind: str, rng: np.random.Generator) -> None:
    points = rng.uniform(0, 60, (12, 2))
    there = seen(matrix, points) + rng.normal(size=(12, 2)) * 0.3
    found = register_points(points, there)
    assert found.kind == kind
    assert 0.02 < found.residuals.mean() < 0.3  # 0.3 pixels of the photograph are 0.1 of the scan
    assert found.residuals.mean() < found.left_out.mean()


def test_residuals_are_measured_on_the_scan() -> None:
    grid = np.array([[x, y] for x in (0, 20, 40) for y in (0, 20, 40)], float)
    there = seen(np.diag([4.0, 4.0, 1.0]), grid)
    there[4] += (8, 0)  # the centre: two pixels of the scan, of which a fit of nine takes a ninth
    found = register_points(grid, there, kind="affine")
    assert found.residuals[4] == pytest.approx(2 * 8 / 9)
    assert found.left_out[4] == pytest.approx(2)


@pytest.mark.parametrize(
    ("scan", "photo", "kind", "words"),
    [
        (SCAN[:2], SCAN[:2], None, "3 control points or more; found 2"),
        (SCAN[:3], SCAN[:3], "projective", "4 control points or more; found 3"),
        (SCAN, SCAN[:3], None, "found shapes"),
        (SCAN, SCAN, "bent", "known are affine, projective"),
        (np.outer(np.arange(4.0), [1, 2]), SCAN[:4], None, "one line of the scan"),
        (SCAN[:4], np.outer(np.arange(4.0), [1, 2]), None, "one line of the photograph"),
    ],
)
def test_points_that_fix_nothing_are_refused(scan: np.ndarray, photo: np.ndarray, kind: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        register_points(scan, photo, kind=kind)


def test_a_larger_photograph_of_the_same_shape_is_averaged(rng: np.random.Generator) -> None:
    scan = rng.integers(0, 256, (7, 9, 3)).astype(np.uint8)
    photo = np.repeat(np.repeat(scan, 5, axis=0), 5, axis=1)
    rgb, covered = warped(photo, register_resized(photo.shape[:2], (7, 9)), (7, 9))
    assert covered.all()
    assert rgb.dtype == np.float32
    np.testing.assert_allclose(rgb, scan / 255, atol=1e-6)


def test_another_shape_needs_points() -> None:
    with pytest.raises(InputError, match="9 x 7; found the shape 90 x 90"):
        register_resized((90, 90), (7, 9))


def test_photographs_that_are_no_colours_are_refused() -> None:
    with pytest.raises(InputError, match="must lie within 0 to 1"):
        warped(np.full((4, 4, 3), 2.0), register_resized((4, 4), (4, 4)), (4, 4))


def test_colours_land_where_they_belong_and_only_there(rng: np.random.Generator) -> None:
    scan = picture((64, 72), rng, blur=4)
    whole = register_points(SCAN, seen(AFFINE, SCAN), kind="affine")
    back = whole._replace(matrix=np.linalg.inv(whole.matrix))
    photo, _ = warped(scan.astype(np.float32), back, (150, 190))  # the scan as the photograph sees it, cut off
    rgb, covered = warped(photo, whole, (64, 72))
    places = placed(whole.matrix, (64, 72))
    inside = (places[..., 0] < 189.5) & (places[..., 1] < 149.5) & (places > -0.5).all(axis=-1)
    np.testing.assert_array_equal(covered, inside)
    assert 0.3 < covered.mean() < 0.95
    assert np.abs(rgb - scan)[covered].max() < 0.03


def test_refinement_finds_a_displacement_through_other_contrasts(rng: np.random.Generator) -> None:
    maps = picture((80, 100), rng, blur=3)
    colours = np.clip(maps @ [[-0.6, 0.2, 0.1], [0.3, 0.9, -0.5], [0.8, -0.4, 0.5]] + 0.2, 0, 1)  # a negative, mixed
    true = register_points(SCAN, seen(AFFINE, SCAN), kind="affine")
    photo, _ = warped(colours.astype(np.float32), true._replace(matrix=np.linalg.inv(true.matrix)), (290, 340))
    wrong = true._replace(matrix=true.matrix @ np.array([[1.01, 0, 1.6], [0, 1, -1.2], [0, 0, 1]]))
    better, before, after = refined(wrong, photo, maps)
    assert better.kind == "affine, refined"
    assert before < 0.9 < 0.98 < after

    def astray(registration) -> float:
        gap = placed(registration.matrix, (80, 100)) - placed(true.matrix, (80, 100))
        return float(np.abs(gap).max()) / 3

    assert astray(wrong) > 1.5
    assert astray(better) < 0.25


def test_refinement_that_gains_nothing_changes_nothing(rng: np.random.Generator) -> None:
    maps = picture((40, 40), rng, blur=3)
    plain = register_resized((40, 40), (40, 40))
    grey = np.full((40, 40, 3), 0.5)
    kept, before, after = refined(plain, grey, maps)
    assert kept is plain
    assert before == after


@pytest.mark.parametrize("shape", [(1, 600), (3, 600), (600, 1)])
def test_refinement_leaves_what_is_one_pixel_high_after_thinning(shape, rng: np.random.Generator) -> None:
    """Its corners lie on one line and fix no transform."""
    maps = rng.normal(size=(*shape, 2))
    plain = register_resized(shape, shape)
    kept, before, after = refined(plain, rng.random((*shape, 3)), maps)
    assert kept is plain
    assert before == after
