import numpy as np
import pytest

from velatura.base.errors import InputError
from velatura.physics.material import Paint
from velatura.physics.stack import Layer, Stack, elements_of, pack

WHITE, RED = Paint("white", {"lead_white": 1.0}), Paint("red", {"vermilion": 1.0})
GROUND = Stack().paint(Paint("ground", {"chalk": 1.0}), thickness=100)


def test_a_ground_is_shared() -> None:
    left, right = GROUND.paint(WHITE, thickness=10), GROUND.paint(RED, thickness=20)
    assert left.layers[0] == right.layers[0]
    assert len(GROUND.layers) == 1


def test_packed_arrays_list_the_top_first() -> None:
    stacks = [GROUND.paint(WHITE, thickness=10).paint(RED, thickness=20), GROUND]
    elements = elements_of(stacks)
    packed = pack(stacks, elements, slots=4)
    assert packed.mass.shape == (2, 4)
    assert packed.mass[0, 0] == pytest.approx(RED.density() * 20e-4)
    assert packed.shares[0, 0, elements.index("Hg")] == pytest.approx(RED.mass_fractions()["Hg"])
    np.testing.assert_array_equal(packed.mass[1, 1:], 0)
    np.testing.assert_allclose(packed.shares.sum(axis=-1), 1, rtol=1e-6)


def test_refusals() -> None:
    with pytest.raises(InputError, match="must be 0 um or more; found -3 um"):
        Layer(WHITE, -3)
    with pytest.raises(InputError, match="must be 0 um or more; found nan"):
        Layer(WHITE, float("nan"))
    with pytest.raises(InputError, match="may have 1 layers; found 2"):
        pack([GROUND.paint(RED, thickness=1)], elements_of([GROUND]), slots=1)
    with pytest.raises(InputError, match="holds Hg, S, which the prepared instrument lacks"):
        pack([GROUND.paint(RED, thickness=1)], elements_of([GROUND]))
