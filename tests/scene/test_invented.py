import jax
import numpy as np
import pytest

from velatura.atomic.lines import lines_of
from velatura.physics.simulate import usual_elements
from velatura.scene.classes import xrf_classes
from velatura.scene.invented import STRENGTH, invent
from velatura.scene.sampler import Sampling
from velatura.scene.sources import SourcePlan, source_group
from velatura.scene.training import DETECTABLE, draw, grid

KNOWN, CLASSES = usual_elements(), xrf_classes()


def test_lines_lie_where_moseleys_law_puts_them_and_away_from_the_library(rng) -> None:
    found = invent(4000, 1.0, known=KNOWN, rng=rng)
    main, whole = found.energy[:, 0], found.share.sum(axis=1)
    assert np.all((whole > 0.99 * STRENGTH[0]) & (whole < 1.01 * STRENGTH[1]))
    assert main.min() > 3.0
    assert main.max() < 40
    alpha = np.array([lines_of(name, ("K",))[0].energy for name in ("Fe", "Cu", "Zn", "Sr", "Ag")])
    hard = found.energy[:, 3] < 1.25 * main  # K families: Kb2 is near
    apart = np.abs(main[hard, None] - alpha).min(axis=1)
    assert apart.min() > 0.1
    assert np.all(found.energy[:, 2] > main)


def test_chance_and_seed(rng) -> None:
    none = invent(50, 0.0, known=KNOWN, rng=rng)
    assert not none.share.any()
    some = [invent(5000, 0.2, known=KNOWN, rng=np.random.default_rng(3)) for _ in range(2)]
    np.testing.assert_array_equal(some[0].energy, some[1].energy)
    assert some[0].share.any(axis=1).mean() == pytest.approx(0.2, abs=0.02)


def test_spectra_with_such_lines_are_labelled_where_they_show() -> None:
    plan = SourcePlan(groups=3, stacks=32, held_out=0.5, strange_every=9, drawn=Sampling(palette=("lead_white",)))
    group = source_group(plan, 2)
    key = jax.random.key(4)
    faint, bright = (draw(group, CLASSES, 400, key=key, counts=(c, c), invented=0.5) for c in (300.0, 1e6))
    plain = draw(group, CLASSES, 400, key=key, counts=(1e6, 1e6))
    there = bright.labels[:, 0, -1] & ~plain.labels[:, 0, -1]
    assert 120 < there.sum() < 280
    seen = [(batch.labels & batch.mask)[there, 0, -1].mean() for batch in (faint, bright)]
    assert seen[0] < 0.8 < seen[1]
    gained = np.abs(bright.features - plain.features)[there].sum(axis=1)
    assert gained.mean() > np.abs(bright.features - plain.features)[~there].sum(axis=1).mean()
    assert DETECTABLE == 25
    assert grid().shape == bright.features.shape[1:]
