import numpy as np
import pytest

from velatura.base.errors import InputError
from velatura.physics.instrument import preset
from velatura.physics.material import Paint
from velatura.physics.stack import Layer, Stack
from velatura.scene.layerings import fine_layerings, from_roots, lagrange, layerings, roots
from velatura.scene.painting import Painting, Passage, varied_thickness
from velatura.scene.scan import scan_painting, simulator

CANVAS = Paint("canvas", {"linen_canvas": 1.0}, loading=1.0)
GROUND = Paint("ground", {"chalk": 0.8, "lead_white": 0.2}, loading=0.5)
VERMILION = Paint("red", {"vermilion": 1.0})
COVER = Paint("cover", {"lead_white": 0.9, "azurite": 0.1})
SHAPE = (24, 30)
INSTRUMENT = preset("laboratory").rebinned(8)  # as many channels as the little scanner has lines


def painting(*, relative: float = 0.2, shape: tuple[int, int] = SHAPE) -> Painting:
    rng = np.random.default_rng(7)
    left = np.broadcast_to(np.arange(shape[1]) < shape[1] // 2, shape)
    thick = [varied_thickness(mean, shape, relative=relative, scale=3.0, rng=rng) for mean in (30.0, 20.0)]
    bare = Painting(shape, pitch=0.5).support(CANVAS, thickness=500.0).ground(GROUND, thickness=120.0)
    return bare.pentimento(Passage(VERMILION, thick[0], left)).overpaint(Passage(COVER, thick[1]))


def test_weights_of_lagrange_reproduce_polynomials() -> None:
    knots, values = np.array([0.0, 0.3, 1.0, 2.0]), np.linspace(-0.2, 2.2, 9)
    weights = lagrange(knots, values)
    np.testing.assert_allclose(weights.sum(axis=1), 1)
    np.testing.assert_allclose(weights @ (knots**3 - knots), values**3 - values, atol=1e-12)
    np.testing.assert_allclose(lagrange(knots, knots), np.eye(4), atol=1e-12)


def test_layerings_part_the_pixels() -> None:
    parts = fine_layerings(painting())
    assert [part.sheets for part in parts] == [(0, 1, 3), (0, 1, 2, 3)]
    np.testing.assert_array_equal(
        np.sort(np.concatenate([part.pixels for part in parts])), np.arange(SHAPE[0] * SHAPE[1])
    )
    assert [part.size for part in parts] == [len(part.stacks(painting())) for part in parts]


@pytest.mark.parametrize("relative", [0.0, 0.2, 0.45])
def test_interpolated_lines_agree_with_exact_stacks(simulate, relative: float) -> None:
    """Within 1 % on every line that is worth a thousandth of the strongest; the cover varies from 2 to 38 um."""
    scene = painting(relative=relative)
    for part in fine_layerings(scene):
        values = part.thickness(scene, part.pixels)
        paints = [scene.sheets[k].paints[0] for k in part.sheets]
        exact = simulate([Stack(tuple(map(Layer, paints, map(float, row)))) for row in values])
        found = from_roots(part.interpolate(roots(simulate(part.stacks(scene))), part.pixels, scene))
        strong = exact > 1e-3 * exact.max()
        assert np.abs(found / exact - 1)[strong].max() < 0.01
        assert part.size < len(part.pixels) or relative == 0


@pytest.mark.slow
def test_interpolated_spectra_of_a_scanner_agree_with_exact_ones() -> None:
    """Whole spectra of the physics: within 1 % in channels above a thousandth of the brightest."""
    scene = painting()
    simulate = simulator(scene, preset("crono").rebinned(512), cells=2)
    part = fine_layerings(scene)[1]
    pixels = part.pixels[::12]
    paints = [scene.sheets[k].paints[0] for k in part.sheets]
    stacks = [Stack(tuple(map(Layer, paints, map(float, row)))) for row in part.thickness(scene, pixels)]
    both = simulate([*part.stacks(scene), *stacks])
    exact = both[part.size :]
    found = from_roots(part.interpolate(roots(both[: part.size]), pixels, scene))
    assert np.abs(found / exact - 1)[exact > 1e-3 * exact.max()].max() < 0.01


def test_few_pixels_are_computed_one_by_one() -> None:
    scene = painting(shape=(2, 4))
    parts = layerings(scene, most=6)
    assert [part.knots is None for part in parts] == [False, True]
    assert parts[1].size == len(parts[1].pixels)


def test_same_seed_same_bytes_however_the_cube_is_cut(simulate) -> None:
    def scan(seed: int, **options):
        rng = np.random.default_rng(seed)
        return scan_painting(painting(), INSTRUMENT, counts=2000, rng=rng, beam=0.6, simulate=simulate, **options).cube

    cube = scan(3)
    whole = cube.counts.values
    np.testing.assert_array_equal(whole, scan(3, detectability=False).counts.values)
    np.testing.assert_array_equal(whole[5:9, 2:7], cube.counts[5:9, 2:7].values)
    np.testing.assert_array_equal(whole[11], cube.counts[11].values)
    assert (whole != scan(4).counts.values).mean() > 0.2


def test_counts_follow_poisson_about_the_dose(simulate) -> None:
    flat = Painting((40, 50)).support(CANVAS, thickness=500.0).passages(Passage(COVER, 20.0))
    scan = scan_painting(flat, INSTRUMENT, counts=1000, rng=np.random.default_rng(1), simulate=simulate)
    counts = scan.cube.counts.values.astype(float)
    assert counts.sum(axis=-1).mean() == pytest.approx(1000, rel=0.005)
    strong = counts.mean(axis=(0, 1)) > 20
    ratio = counts.var(axis=(0, 1))[strong] / counts.mean(axis=(0, 1))[strong]
    np.testing.assert_allclose(ratio, 1, atol=0.12)


def test_bright_and_dark_pixels_keep_their_ratio_and_the_mean_is_the_dose(simulate) -> None:
    scan = scan_painting(painting(), INSTRUMENT, counts=1e6, rng=np.random.default_rng(1), simulate=simulate)
    total = scan.cube.counts.values.sum(axis=-1, dtype=float)
    assert scan.cube.counts.dtype == np.uint32
    assert total.mean() == pytest.approx(1e6, rel=0.005)
    covered = simulate([Stack((Layer(CANVAS, 500.0), Layer(GROUND, 120.0), Layer(COVER, 20.0)))]).sum()
    hidden = simulate(
        [Stack((Layer(CANVAS, 500.0), Layer(GROUND, 120.0), Layer(VERMILION, 30.0), Layer(COVER, 20.0)))]
    ).sum()
    assert total[:, :15].mean() / total[:, 15:].mean() == pytest.approx(hidden / covered, rel=0.03)


def test_the_beam_blurs_and_keeps_the_counts(simulate) -> None:
    options = {"counts": 1e6, "simulate": simulate, "detectability": False}
    sharp, soft = (
        scan_painting(
            painting(relative=0.0), INSTRUMENT, beam=beam, rng=np.random.default_rng(1), **options
        ).cube.counts.values
        for beam in (0.0, 1.5)
    )
    mercury = 3
    assert sharp[:, 14:16, mercury].mean(axis=0) == pytest.approx(
        [sharp[0, 0, mercury], sharp[0, -1, mercury]], rel=0.05, abs=5
    )
    middle = soft[:, 14:16, mercury].mean()
    assert middle == pytest.approx((sharp[:, 0, mercury].mean() + sharp[:, -1, mercury].mean()) / 2, rel=0.01)
    assert soft.sum(dtype=float) == pytest.approx(sharp.sum(dtype=float), rel=1e-3)


def test_what_the_cube_says_of_itself(simulate) -> None:
    cube = scan_painting(painting(), INSTRUMENT, counts=500, rng=np.random.default_rng(1), simulate=simulate).cube
    assert cube.counts.dtype == np.uint16
    facts = {"anode": "Rh", "tube_voltage": 40.0, "take_off_angle": 45.0, "pitch": 0.5, "calibration": "simulated"}
    assert facts.items() <= cube.counts.attrs.items()
    assert cube.counts.attrs["source"] == "simulated painting (support, ground, pentimento, overpaint)"
    np.testing.assert_allclose(cube.energy, INSTRUMENT.axis())


@pytest.mark.parametrize(
    ("scene", "options", "message"),
    [
        (Painting((2, 2)), {}, "painting without layers"),
        (painting(), {"counts": 0}, "counts must be above 0"),
        (painting(), {"beam": -1.0}, "beam 0 mm or more; found 100 and -1"),
        (painting(), {"channels": 7}, "7 channels do not divide"),
        (painting(), {"counts": 9e8, "simulate": lambda stacks: np.eye(1, 8).repeat(len(stacks), 0) * 1e9}, None),
    ],
)
def test_refusals(simulate, scene: Painting, options: dict, message: str | None) -> None:
    options = {"counts": 100, "simulate": simulate, "rng": np.random.default_rng(1), "detectability": False} | options
    if message is None:
        assert scan_painting(scene, INSTRUMENT, **options).cube.counts.dtype == np.uint32
        return
    with pytest.raises(InputError, match=message):
        scan_painting(scene, INSTRUMENT, **options)
