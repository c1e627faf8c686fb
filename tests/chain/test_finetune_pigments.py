import json
from pathlib import Path

import jax
import numpy as np
import pytest

from velatura.atomic.lines import lines_of
from velatura.base.cube import make_cube
from velatura.base.errors import InputError
from velatura.base.workspace import create_workspace
from velatura.chain import finetune_pigments as chain
from velatura.chain.train_pigments import group_path
from velatura.physics.instrument import Instrument
from velatura.scene.classes import xrf_classes
from velatura.scene.evidence_bank import Labels
from velatura.scene.sources import SourceGroup, write_group
from velatura.scene.training import draw, grid
from velatura.tasks.pigment_adaptation import Adaptation
from velatura.tasks.pigment_model import load_pigments, save_pigments, untrained
from velatura.tasks.scanner_effects import Effects, with_effects

CLASSES = xrf_classes()
NAMES = [row.name for row in CLASSES]
ELEMENTS = ("Pb", "Hg", "Cu", "Fe")
QUICK = Adaptation(steps=4, batches=2, layers="last", general=16, scanner=8, spots=8)


def made_group(seed: int) -> SourceGroup:
    """Stacks of one or two classes, each known by the lines of one element; no physics behind them."""
    rng = np.random.default_rng(seed)
    rows = [lines_of(name, ("K", "L"), window=(2.0, 30.0)) for name in ELEMENTS]
    energy = np.array([line.energy for row in rows for line in row])
    owner = np.repeat(np.arange(len(rows)), [len(row) for row in rows])
    weight = np.array([line.weight for row in rows for line in row])
    continuum = np.arange(1.0, 30.0, 0.05)
    amounts = (rng.random((40, len(rows))) < 0.3) * rng.uniform(0.3, 1, (40, len(rows)))
    amounts[np.arange(40), rng.integers(0, len(rows), 40)] += 0.3
    photons = np.concatenate([amounts[:, owner] * weight, np.tile(4e-4 * np.exp(-continuum / 12), (40, 1))], axis=1)
    photons = (photons * 2.0**14 / photons.max(axis=1, keepdims=True)).astype(np.float16)
    share = np.zeros((40, 2, len(CLASSES) + 1), np.float32)
    share[:, 0, [NAMES.index(name) for name in ELEMENTS]] = amounts / amounts.sum(axis=1, keepdims=True)
    labels = Labels(
        share * 1.0, np.zeros(40, np.float32), share, share * 1e-3, np.full_like(share, np.inf), share * 1.0
    )
    return SourceGroup(photons, np.concatenate([energy, continuum]), len(energy), labels, 32, Instrument(gain=0.021))


@pytest.fixture
def bank(monkeypatch: pytest.MonkeyPatch):
    """Made-up stacks in place of a bank that takes minutes."""

    def complete(folder: Path, plan, *, progress) -> Path:
        for number in range(plan.groups):
            if not (path := group_path(folder, number)).exists():
                write_group(path, made_group(number))
        return folder

    monkeypatch.setattr(chain, "complete_bank", complete)
    monkeypatch.setattr(chain, "SPECTRA", 24)


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    """6 x 6 pixels seen by a scanner that is 0.5 % off."""
    group = made_group(99)
    seen = with_effects(group, Instrument(), Effects(gain=1.005))
    drawn = draw(group, CLASSES, 36, key=jax.random.key(3), counts=(2e4, 3e4), stacks=np.arange(40), seen=seen)
    step = float(grid()[1] - grid()[0])
    cube = make_cube(drawn.features.astype(np.uint16).reshape(6, 6, -1), zero=float(grid()[0]), gain=step)
    create_workspace(tmp_path / "scan.zarr", cube)
    return tmp_path / "scan.zarr"


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    save_pigments(tmp_path / "before.safetensors", untrained("fast", key=jax.random.key(0)))
    return tmp_path / "before.safetensors"


def test_spots_and_scan_give_weights_that_tell_what_was_gained(bank, scan, weights, tmp_path: Path) -> None:
    spots = tmp_path / "spots.csv"
    spots.write_text("x,y,pigments\n1,1,lead_white\n3,4,vermilion;Cu\n5,2,Fe\n")
    output = tmp_path / "mine.safetensors"
    found = chain.finetune_pigments(weights, scan, spots, output=output, config=QUICK, seed=3)
    assert found.spots == 3
    assert found.effects is not None
    assert found.effects.effects.gain * 12 + found.effects.effects.offset == pytest.approx(1.005 * 12, abs=0.02)
    assert found.before is not None
    assert found.after is not None
    assert found.before != found.after
    model = load_pigments(output)
    told = json.loads(json.dumps(model.card.details["adapted"], default=dict))
    assert told["spots"] == 3
    assert told["effects"]["gain"] == found.effects.effects.gain
    assert dict(model.card.scores) == pytest.approx(found.general_after, nan_ok=True)


def test_a_scan_alone_is_enough(bank, scan, weights, tmp_path: Path) -> None:
    found = chain.finetune_pigments(weights, scan, None, output=tmp_path / "a.safetensors", config=QUICK)
    assert (found.spots, found.before, found.after) == (0, None, None)
    again = chain.finetune_pigments(weights, scan, None, output=tmp_path / "b.safetensors", config=QUICK)
    assert again.path.read_bytes() == found.path.read_bytes()
    with pytest.raises(InputError, match="holds a run with instrument"):
        chain.finetune_pigments(
            weights, scan, None, output=tmp_path / "a.safetensors", config=QUICK, instrument=Instrument()
        )


def test_what_cannot_be_done_is_refused(weights, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nothing to adapt to\. Give a scan, a table of spots"):
        chain.finetune_pigments(weights, None, None, output=tmp_path / "a.safetensors")
    with pytest.raises(InputError, match=r"asked for a\.zarr"):
        chain.finetune_pigments(weights, None, tmp_path / "spots.csv", output=tmp_path / "a.zarr")
    with pytest.raises(InputError, match="no weights"):
        chain.finetune_pigments("nowhere", None, tmp_path / "spots.csv", output=tmp_path / "a.safetensors")
