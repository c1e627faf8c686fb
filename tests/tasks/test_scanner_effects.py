from dataclasses import replace

import jax
import numpy as np
import pytest

from velatura.atomic.lines import lines_of
from velatura.physics.instrument import Instrument
from velatura.scene.classes import xrf_classes
from velatura.scene.evidence_bank import Labels
from velatura.scene.sources import SourceGroup
from velatura.scene.training import draw, grid, view
from velatura.tasks.scanner_effects import Effects, fit_effects, with_effects

CLASSES = xrf_classes()
ELEMENTS = ("Ca", "Fe", "Cu", "Zn", "Hg", "Pb", "Sn", "Ti")


@pytest.fixture(scope="module")
def group():
    """Stacks of some elements in random amounts over a falling continuum; no physics behind them."""
    rng = np.random.default_rng(4)
    rows = [lines_of(name, ("K", "L"), window=(2.0, 30.0)) for name in ELEMENTS]
    energy = np.array([line.energy for row in rows for line in row])
    owner = np.repeat(np.arange(len(rows)), [len(row) for row in rows])
    weight = np.array([line.weight for row in rows for line in row])
    continuum = np.arange(1.0, 30.0, 0.03)
    amounts = rng.dirichlet(np.full(len(rows), 0.4), 64)
    photons = np.concatenate([amounts[:, owner] * weight, np.tile(3e-4 * np.exp(-continuum / 12), (64, 1))], axis=1)
    photons = (photons * 2.0**14 / photons.max(axis=1, keepdims=True)).astype(np.float16)
    empty = np.zeros((64, 2, len(CLASSES) + 1), np.float32)
    labels = Labels(empty, np.zeros(64, np.float32), empty, empty, np.full_like(empty, np.inf), empty)
    return SourceGroup(photons, np.concatenate([energy, continuum]), len(energy), labels, 64, Instrument(gain=0.021))


def test_without_effects_a_view_is_that_of_the_stream(group, rng) -> None:
    plain, ours = view(group, rng=rng, instrument=Instrument()), with_effects(group, Instrument(), Effects())
    np.testing.assert_allclose(ours.response, plain.response, rtol=1e-5, atol=1e-9)
    np.testing.assert_array_equal(ours.scattered, plain.scattered)
    np.testing.assert_array_equal(ours.condition, plain.condition)


def test_a_line_moves_with_gain_and_offset_and_widens_with_the_noise(group) -> None:
    iron = int(np.argmin(np.abs(group.energy - 6.404)))
    axis = grid()
    sharp = replace(Instrument().detector, tail=0.0, shelf=0.0, escape=False, recoil=False)

    def line(effects: Effects) -> tuple[float, float]:
        row = with_effects(group, replace(Instrument(), detector=sharp), effects).response[iron].astype(float)
        mean = row @ axis / row.sum()
        return mean, row @ (axis - mean) ** 2 / row.sum()

    mean, variance = line(Effects())
    moved, wide = line(Effects(gain=1.01, offset=0.02, noise=0.16))
    assert moved == pytest.approx(1.01 * mean + 0.02, abs=2e-3)
    added = (1.01**2 * (0.16**2 - sharp.noise**2)) / (8 * np.log(2))
    assert wide - 1.01**2 * variance == pytest.approx(added, rel=0.03)


def test_the_background_holds_the_share_that_is_asked_for(group) -> None:
    plain, more = (with_effects(group, Instrument(), effects) for effects in (Effects(), Effects(background=0.2)))
    ratio = more.response.sum(axis=1) / np.maximum(plain.response.sum(axis=1), 1e-12)
    np.testing.assert_allclose(ratio[plain.response.sum(axis=1) > 1e-6], 1.2, rtol=1e-4)


@pytest.mark.parametrize("effects", [Effects(gain=1.01, noise=0.12, background=0.1), Effects(gain=0.994, offset=0.03)])
def test_effects_are_found_again_in_a_sum_spectrum(group, effects: Effects) -> None:
    seen = with_effects(group, Instrument(), effects)
    drawn = draw(group, CLASSES, 256, key=jax.random.key(2), counts=(1e4, 1e4), stacks=np.arange(12), seen=seen)
    found = fit_effects(drawn.features.sum(axis=0), [group], rng=np.random.default_rng(0))
    assert found.misfit < 0.2 * found.before
    for energy in (3.7, 8.0, 12.6):  # gain and offset can stand for one another where there are no lines
        recorded = found.effects.gain * energy + found.effects.offset
        assert recorded == pytest.approx(effects.gain * energy + effects.offset, abs=0.012)
    assert found.effects.background == pytest.approx(effects.background, abs=0.07)


def test_the_fit_repeats_itself(group) -> None:
    counts = draw(
        group, CLASSES, 64, key=jax.random.key(3), seen=with_effects(group, Instrument(), Effects(gain=1.005))
    ).features.sum(axis=0)
    one, again = (fit_effects(counts, [group], rng=np.random.default_rng(7)) for _ in range(2))
    assert one == again
