from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from velatura.atomic.lines import group
from velatura.atomic.scattering import compton_energy
from velatura.physics.fluorescence import lines, primary
from velatura.physics.instrument import Geometry, Instrument
from velatura.physics.material import Paint
from velatura.physics.simulate import expected_counts, prepare, spectrum
from velatura.physics.stack import Stack, pack
from velatura.physics.tube import Tube

CANVAS = Stack().paint(Paint("canvas", {"linen_canvas": 1.0}, loading=1.0), thickness=500)
WHITE, RED = Paint("white", {"lead_white": 1.0}), Paint("red", {"vermilion": 1.0})
PAINTED = CANVAS.paint(WHITE, thickness=40)
HIDDEN = CANVAS.paint(RED, thickness=20).paint(WHITE, thickness=15)
HEAD = replace(Instrument(), channels=1024, gain=0.04)


@pytest.fixture(scope="module")
def scanner():
    return prepare(HEAD)


def counts_of(stacks, scanner, **options) -> np.ndarray:
    return expected_counts(pack(stacks, scanner.elements), scanner, **options)


def window(spectrum: np.ndarray, scanner, low: float, high: float) -> float:
    return float(spectrum[(scanner.axis >= low) & (scanner.axis < high)].sum())


def test_lines_stand_where_the_tables_say(scanner) -> None:
    bare, white, hidden = counts_of([CANVAS, PAINTED, HIDDEN], scanner)
    energy = group("Pb-La").energy
    assert window(white, scanner, energy - 0.15, energy + 0.15) > 50 * window(
        bare, scanner, energy - 0.15, energy + 0.15
    )
    energy = group("Hg-La").energy
    assert window(hidden, scanner, energy - 0.12, energy + 0.12) > 5 * window(
        white, scanner, energy - 0.12, energy + 0.12
    )


def test_tube_lines_scattered_by_canvas_and_lead(scanner) -> None:
    """Rayleigh over Compton of Rh Ka is small for cellulose and large for lead."""
    ka, angle = group("Rh-Ka").energy, HEAD.geometry.scattering_angle()
    softened = float(compton_energy(ka, angle))
    ratio = [
        window(s, scanner, ka - 0.2, ka + 0.2) / window(s, scanner, softened - 0.3, softened + 0.3)
        for s in counts_of([CANVAS, PAINTED], scanner)
    ]
    assert 0.05 < ratio[0] < 0.3
    assert ratio[1] > 3 * ratio[0]
    bare = counts_of([CANVAS], scanner)[0]
    near = np.abs(scanner.axis - softened) < 0.5
    assert scanner.axis[near][np.argmax(bare[near])] == pytest.approx(softened, abs=0.1)


def test_argon_comes_from_the_air() -> None:
    head = replace(HEAD, tube=Tube("Mo"))  # whose own lines lie elsewhere
    in_air, in_helium = (prepare(replace(head, geometry=Geometry(atmosphere=gas))) for gas in ("air", "helium"))
    argon = [window(counts_of([CANVAS], s)[0], s, 2.85, 3.07) for s in (in_air, in_helium)]
    assert argon[0] > 2 * argon[1]


def test_batches_do_not_matter(scanner) -> None:
    """More stacks than fit one batch, in any order, give the same spectra as one alone."""
    stacks = [CANVAS.paint(WHITE, thickness=float(t)) for t in np.linspace(1, 60, 300)]
    every = counts_of(stacks, scanner)
    np.testing.assert_allclose(counts_of(stacks[::-1], scanner)[::-1], every, rtol=2e-5, atol=1e-12)
    np.testing.assert_allclose(counts_of([stacks[7]], scanner)[0], every[7], rtol=2e-5, atol=1e-12)


def test_an_empty_layer_changes_nothing(scanner) -> None:
    with_nothing = CANVAS.paint(RED, thickness=0).paint(WHITE, thickness=40)
    one, two = counts_of([PAINTED, with_nothing], scanner)
    np.testing.assert_allclose(one, two, rtol=2e-5, atol=1e-12)


def test_secondary_fluorescence_is_there(scanner) -> None:
    """Lead excites few lines here, but copper excites iron: 12.9 % under azurite in the reference code."""
    stack = CANVAS.paint(Paint("earth", {"red_ochre": 1.0}), thickness=40).paint(
        Paint("blue", {"azurite": 1.0}), thickness=30
    )
    head = prepare(HEAD)
    packed, excitation = pack([stack], head.elements), head.bench.excitation
    iron = np.abs(np.asarray(excitation.line_energy) - 6.404) < 0.01
    mass, shares = (jnp.asarray(part[0]) for part in packed)
    with_, without = (np.asarray(jax.jit(f)(mass, shares, excitation))[iron].sum() for f in (lines, primary))
    assert with_ / without == pytest.approx(1.129, abs=0.02)


def test_it_can_be_differentiated(scanner) -> None:
    """The gradient of a line with respect to the thickness agrees with a difference."""
    packed = pack([PAINTED], scanner.elements)
    here = jnp.asarray((scanner.axis > 10.4) & (scanner.axis < 10.7))

    def line(factor):
        counted = spectrum(packed.mass[0] * factor, packed.shares[0], scanner.bench, cells=1)
        return jnp.sum(jnp.where(here, counted, 0.0)) * 1e3

    value, slope = jax.jit(jax.jvp, static_argnums=0)(line, (1.0,), (1.0,))
    more = float(jax.jit(line)(1.02))
    less = float(jax.jit(line)(0.98))
    assert less < float(value) < more
    assert float(slope) == pytest.approx((more - less) / 0.04, rel=0.02)


def test_parasites_background_and_pile_up_add_counts_where_they_should(scanner) -> None:
    plain = counts_of([CANVAS], scanner)[0]
    dirty = replace(HEAD, parasites=(("Fe", 0.01),), background=0.1)
    found = counts_of([CANVAS], head := prepare(dirty))[0]
    assert window(found, head, 6.2, 6.6) > 1.3 * window(plain, head, 6.2, 6.6)
    assert found.sum() / counts_of([CANVAS], prepare(replace(HEAD, background=0.0)))[0].sum() > 1.1
    piled = prepare(replace(HEAD, detector=replace(HEAD.detector, pile_up=0.03)))
    sums = counts_of([PAINTED], piled)[0]
    lost = 1 - sums.sum() / counts_of([PAINTED], prepare(HEAD))[0].sum()
    assert lost == pytest.approx(0.03, abs=0.01)
