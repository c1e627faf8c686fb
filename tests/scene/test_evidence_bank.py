import numpy as np
import pytest

from velatura.physics.instrument import preset
from velatura.physics.material import Paint, material
from velatura.physics.simulate import photons_of, prepare
from velatura.physics.stack import UM, Layer, Packed, Stack, pack
from velatura.scene.classes import xrf_classes
from velatura.scene.detectability import evidence
from velatura.scene.evidence_bank import labels_of
from velatura.scene.parts import BINDER, SLOT, parts_of
from velatura.scene.sampler import PAINTS, SLOTS, Sampled, Sampling, pigments_of, sample_elements, sample_stacks

ALL = Sampling()
CLASSES = xrf_classes()
NUMBER = {row.name: number for number, row in enumerate(CLASSES)}
GROUND = Layer(Paint("ground", {"chalk": 1.0}, loading=0.5), 120.0)
CANVAS = Layer(Paint("canvas", {"linen_canvas": 1.0}, loading=1.0), 200.0)


@pytest.fixture(scope="module")
def scanner():
    return prepare(preset("laboratory").rebinned(512), sample_elements(ALL))


def layer(thickness: float, **pigments: float) -> Layer:
    return Layer(Paint("paint", pigments), thickness)


def as_sampled(stacks: list[tuple[Layer, Layer | None]], elements: tuple[str, ...]) -> Sampled:
    """(visible, hidden) on chalk and canvas in the form of drawn stacks."""
    names, packed = pigments_of(ALL), []
    thickness = np.zeros((len(stacks), len(SLOTS)), np.float32)
    volume = np.zeros((len(stacks), len(PAINTS), len(names)), np.float32)
    amount, loading = np.zeros_like(volume), np.zeros((len(stacks), len(PAINTS)), np.float32)
    for row, paints in enumerate(stacks):
        slots = (Layer(CANVAS.paint, 0.0), paints[0], paints[1] or Layer(CANVAS.paint, 0.0), GROUND, CANVAS)
        packed.append(pack([Stack(slots[::-1])], elements, slots=len(SLOTS)))
        thickness[row] = [found.thickness for found in slots]
        for paint, found in enumerate(paints):
            if found is not None:
                loading[row, paint] = found.paint.loading
                for name, share in found.paint.pigments.items():
                    volume[row, paint, names.index(name)] = share
                    grams = share * found.paint.loading * material(name).density * found.thickness * UM
                    amount[row, paint, names.index(name)] = grams
    arrays = Packed(*(np.concatenate(same) for same in zip(*packed, strict=True)))
    return Sampled(arrays, thickness, volume, amount, loading)


def test_parts_add_up_to_the_layers(scanner, rng) -> None:
    drawn = sample_stacks(200, scanner.elements, options=ALL, rng=rng)
    parts = parts_of(drawn, scanner.elements, options=ALL)
    assert parts.mass.min() >= 0
    held = np.stack([parts.mass[:, slot == SLOT].sum(axis=1) for slot in range(len(SLOTS))], axis=1)
    np.testing.assert_allclose(held, drawn.packed.mass[:, :, None] * drawn.packed.shares, rtol=1e-4, atol=1e-8)
    oil = material("linseed_oil").mass_fractions()["C"]
    binders = parts.mass[:, [*BINDER, BINDER[1] + 3]]
    carbon = binders[..., scanner.elements.index("C")] / np.maximum(binders.sum(axis=2), 1e-30)
    assert np.all(np.abs(carbon[binders.sum(axis=2) > 1e-6] / oil - 1) < 0.01)  # driers, at most 0.5 %


def test_agrees_with_the_evidence_of_single_stacks(scanner) -> None:
    """The visible classes, and hidden ones whose layer nothing else can stand for."""
    stacks = [
        (layer(10.0, lead_white=1.0), layer(30.0, vermilion=1.0)),
        (layer(40.0, lead_white=0.9, azurite=0.1), layer(20.0, vermilion=0.02, zinc_white=0.98)),
        (layer(30.0, lead_white=0.997, vermilion=0.003), None),
        (layer(20.0, chalk=0.5, malachite=0.5), layer(30.0, cobalt_blue=0.3, lead_white=0.7)),
    ]
    labels = labels_of(as_sampled(stacks, scanner.elements), scanner, CLASSES, options=ALL)

    def simulate(some: list[Stack]) -> np.ndarray:
        photons = photons_of(*pack(some, scanner.elements, slots=len(SLOTS)), scanner, cells=2)
        return np.concatenate(list(photons)) @ np.asarray(scanner.bench.response)

    for number, paints in enumerate(stacks):
        layers = (CANVAS, GROUND, *(found for found in paints[::-1] if found))
        rows = evidence([Stack(layers)], simulate, counts=1.0)
        for row in rows[1:]:
            paint, group = len(layers) - 1 - row.layer, NUMBER[material(row.pigment).xrf_class]
            found, exact = labels.delta_chi2[number, paint, group], row.delta_chi2[0]
            assert found < 1.02 * exact + 1e-5, (number, row.pigment)
            assert found > 0.85 * exact - 1e-5 or paint == 1, (number, row.pigment)
    assert labels.delta_chi2[0, 1, NUMBER["Hg"]] > 0.02  # 25 at 1250 counts
    assert labels.order[0] > 25 / 1e4
    assert labels.order[2] == 0


def test_like_under_like_cannot_be_seen(scanner) -> None:
    stacks = [
        (layer(20.0, lead_white=1.0), layer(30.0, lead_white=1.0)),
        (layer(20.0, vermilion=1.0), layer(30.0, cinnabar=1.0)),
    ]
    labels = labels_of(as_sampled(stacks, scanner.elements), scanner, CLASSES, options=ALL)
    assert labels.delta_chi2[0, 1, NUMBER["Pb"]] < 5 / 1e4
    assert labels.delta_chi2[1, 1, NUMBER["Hg"]] < 5 / 1e4
    assert labels.order.max() < 1 / 1e4
    assert labels.share[1, 0, NUMBER["Hg"]] == 1


def test_laws_of_drawn_stacks(scanner, rng) -> None:
    drawn = sample_stacks(24, scanner.elements, options=ALL, rng=rng)
    labels = labels_of(drawn, scanner, CLASSES, options=ALL)
    assert labels.delta_chi2.shape == (24, 2, 46)
    assert np.all(np.isfinite(labels.delta_chi2))
    assert labels.delta_chi2.min() >= 0
    assert not labels.delta_chi2[labels.share == 0].any()
    assert not labels.delta_chi2[..., [not row.visible for row in CLASSES]].any()
    np.testing.assert_allclose(labels.share.sum(axis=2), drawn.volume_share.sum(axis=2), rtol=1e-5)
    np.testing.assert_allclose(labels.mass_thickness.sum(axis=2), drawn.mass_thickness.sum(axis=2), rtol=1e-5)
    assert np.all(labels.order[drawn.thickness[:, 2] == 0] == 0)
    assert (labels.delta_chi2[:, 0] * 1e4 > 25).any(axis=1).mean() > 0.7
