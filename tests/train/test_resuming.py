"""The loop and the run folder: learns, resumes as if never broken off, refuses another configuration."""

import json
import runpy
import subprocess
import sys
from itertools import islice
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from velatura.base.errors import FileFormatError, InputError
from velatura.train.checkpoint import checkpoints, load_checkpoint, save_checkpoint
from velatura.train.loop import fit, start
from velatura.train.rundir import newest, open_run, train

PROGRAM = Path(__file__).with_name("resumable_run.py")


run_here = runpy.run_path(str(PROGRAM))["main"]


def loss(model, batch, *, key):
    return jnp.mean((jax.vmap(model)(batch) - 2 * batch) ** 2)


def line(seed: int = 0) -> eqx.nn.Linear:
    return eqx.nn.Linear(2, 2, key=jax.random.key(seed))


def draw(step: int) -> jax.Array:
    return jax.random.normal(jax.random.fold_in(jax.random.key(9), step), (16, 2))


def same(one, other) -> bool:
    pairs = zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True)
    return all(np.array_equal(a, b, equal_nan=True) for a, b in pairs)


def test_a_killed_run_equals_the_unbroken_one_bit_for_bit(tmp_path) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    killed = subprocess.Popen([sys.executable, PROGRAM, broken, "32"])
    run_here(whole, None)
    assert killed.wait(timeout=120) != 0
    saved = sorted(path.name for path in (broken / "checkpoints").iterdir())
    assert saved == ["step-000000021.safetensors", "step-000000028.safetensors"]
    with (broken / "metrics.jsonl").open("a") as file:
        file.write('{"step": 33, "lo')  # killed while it wrote
    run_here(broken, None)
    for name in ("config.json", "metrics.jsonl", "checkpoints/step-000000060.safetensors"):
        assert (whole / name).read_bytes() == (broken / name).read_bytes(), name
    assert [len(json.loads((f / "versions.json").read_text())) for f in (whole, broken)] == [1, 2]
    losses = [json.loads(line)["loss"] for line in (whole / "metrics.jsonl").read_text().splitlines()]
    assert len(losses) == 20
    assert losses[-1] < losses[0]


def test_the_loop_finds_the_answer() -> None:
    optimiser = optax.adam(0.1)
    state = next(
        islice(fit(start(line(), optimiser), loss, draw, optimiser=optimiser, key=jax.random.key(0)), 299, None)
    )
    assert state.step == 300
    np.testing.assert_allclose(state.model.weight, 2 * np.eye(2), atol=1e-3)
    assert float(state.loss) < 1e-5


def test_going_on_equals_never_stopping() -> None:
    optimiser, key = optax.adam(0.1), jax.random.key(0)
    states = list(islice(fit(start(line(), optimiser), loss, draw, optimiser=optimiser, key=key), 6))
    again = list(islice(fit(states[2], loss, draw, optimiser=optimiser, key=key), 3))
    assert same(states[3:], again)


def test_checkpoints_round_trip_and_the_oldest_go(tmp_path) -> None:
    optimiser = optax.adam(0.1)
    states = list(islice(fit(start(line(), optimiser), loss, draw, optimiser=optimiser, key=jax.random.key(0)), 4))
    begun = start(line(1), optimiser)
    assert load_checkpoint(tmp_path, begun) is begun
    for state in states:
        save_checkpoint(tmp_path, state)
    assert [path.stem for path in checkpoints(tmp_path)] == ["step-000000003", "step-000000004"]
    back = load_checkpoint(tmp_path, begun)
    assert back.step == 4
    assert same(back, states[-1])
    with pytest.raises(FileFormatError, match="was asked for"):
        load_checkpoint(tmp_path, start(eqx.nn.Linear(3, 2, key=jax.random.key(0)), optimiser))


def test_a_damaged_checkpoint_is_named_and_the_one_before_serves(tmp_path) -> None:
    state = start(line(), optimiser := optax.sgd(0.1))
    save_checkpoint(tmp_path, state._replace(step=1))
    newest_file = save_checkpoint(tmp_path, state._replace(step=2))
    newest_file.write_bytes(newest_file.read_bytes()[:-4])
    with pytest.raises(FileFormatError, match="step-000000002"):
        load_checkpoint(tmp_path, start(line(), optimiser))
    newest_file.unlink()
    assert load_checkpoint(tmp_path, start(line(), optimiser)).step == 1


def test_a_run_folder_keeps_its_configuration(tmp_path) -> None:
    open_run(tmp_path / "run", {"rate": 0.1, "widths": (1, 2)})
    open_run(tmp_path / "run", {"rate": 0.1, "widths": [1, 2]})
    with pytest.raises(InputError, match=r"holds a run with rate = 0\.1; asked for 0\.2"):
        open_run(tmp_path / "run", {"rate": 0.2, "widths": (1, 2)})
    with pytest.raises(InputError, match="depth = None; asked for 3"):
        open_run(tmp_path / "run", {"rate": 0.1, "widths": (1, 2), "depth": 3})


def test_a_finished_run_does_nothing_more(tmp_path) -> None:
    optimiser, run = optax.sgd(0.1), open_run(tmp_path, {})
    begin = start(line(), optimiser)

    def states():
        return list(train(run, loss, draw, state=begin, optimiser=optimiser, key=jax.random.key(0), steps=3))

    run.checkpoints.mkdir()
    unfinished = run.checkpoints / ".step-000000003.safetensors.0badcafe.part"
    unfinished.write_bytes(b"half")
    last = states()[-1]
    assert not unfinished.exists()
    assert states() == []
    assert same(newest(run, begin), last)
