import numpy as np
import pytest

from velatura.base.errors import InputError
from velatura.physics.material import Paint, material
from velatura.scene.sampler import PAINTS, SLOTS, Sampling, pigments_of, sample_elements, sample_stacks


def drawn(number: int = 2000, seed: int = 5, **options):
    sampling = Sampling(**options)
    elements = sample_elements(sampling)
    return elements, sample_stacks(number, elements, options=sampling, rng=np.random.default_rng(seed))


def test_shares_sum_to_one_and_ranges_hold() -> None:
    _, found = drawn()
    np.testing.assert_allclose(found.packed.shares.sum(axis=-1), 1, atol=2e-5)
    np.testing.assert_allclose(found.volume_share[:, 0].sum(axis=-1), 1, atol=1e-5)
    visible = found.thickness[:, SLOTS.index("paint")]
    assert 5 <= visible.min() < 6
    assert 70 < visible.max() <= 80
    assert 0.45 < np.mean(found.thickness[:, SLOTS.index("hidden")] > 0) < 0.55
    assert 0.2 < np.mean((found.volume_share[:, 0] > 0).sum(axis=-1) == 1) < 0.5
    assert (found.volume_share[:, 0] > 0).sum(axis=-1).max() == 4


def test_an_absent_layer_holds_nothing() -> None:
    _, found = drawn(hidden=0.0)
    assert not found.mass_thickness[:, 1].any()
    assert not found.volume_share[:, 1].any()
    assert not found.packed.mass[:, SLOTS.index("hidden")].any()


def test_masses_agree_with_the_paint_of_the_same_recipe() -> None:
    """Without spread of the phases and driers in the oil (rows without them) arrays and records tell the same."""
    elements, found = drawn(spread=1.0)
    names, checked = pigments_of(Sampling()), 0
    for row in range(40):
        shares = {names[k]: float(share) for k, share in enumerate(found.volume_share[row, 0]) if share > 0}
        paint = Paint("drawn", shares, float(found.loading[row, 0]))
        mass = paint.density() * found.thickness[row, 1] * 1e-4
        if not np.isclose(found.packed.mass[row, 1], mass, rtol=1e-5):
            continue  # a drier in the oil
        checked += 1
        expected = [paint.mass_fractions().get(element, 0.0) for element in elements]
        np.testing.assert_allclose(found.packed.shares[row, 1], expected, atol=1e-5)
        for name, share in paint.mass_shares().items():
            if name in names:
                assert found.mass_thickness[row, 0, names.index(name)] == pytest.approx(mass * share, rel=1e-4)
    assert checked > 20


def test_low_concentrations_are_drawn() -> None:
    _, found = drawn()
    least = np.where(found.volume_share[:, 0] > 0, found.volume_share[:, 0], 1).min(axis=-1)
    assert np.mean((least > 1e-3) & (least < 0.1)) > 0.2


def test_periods_make_palettes() -> None:
    _, found = drawn(period=(1600.0, 1650.0))
    names = pigments_of(Sampling())
    used = {names[k] for k in np.flatnonzero(found.volume_share.any(axis=(0, 1)))}
    assert "lead_tin_yellow_i" in used
    for name in used:
        assert material(name).period[0] <= 1670


def test_same_seed_same_stacks() -> None:
    (_, one), (_, two), (_, other) = drawn(50), drawn(50), drawn(50, seed=6)
    np.testing.assert_array_equal(one.packed.shares, two.packed.shares)
    assert not np.array_equal(one.packed.shares, other.packed.shares)
    assert len(PAINTS) == one.volume_share.shape[1]


def test_refusals() -> None:
    with pytest.raises(InputError, match='did you mean "azurite"'):
        drawn(palette=("azurit",))
    with pytest.raises(InputError, match="widen the period"):
        drawn(palette=("phthalo_blue",), period=(1500.0, 1600.0))
    with pytest.raises(InputError, match="must be prepared for"):
        sample_stacks(3, ("Pb",), options=Sampling(), rng=np.random.default_rng(0))
