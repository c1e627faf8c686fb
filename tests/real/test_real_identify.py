"""The shipped network on measured standards that are no pigments: unknown, and nothing that is not there."""

from pathlib import Path

import numpy as np
import pytest

from velatura.base.axis import channel_edges, redistribute
from velatura.io.spectrum import read_spectrum_file
from velatura.scene.training import grid
from velatura.spectra.explain import elements_in
from velatura.tasks.identify import at_most
from velatura.tasks.pigment_model import Answers, PigmentModel, load_pigments, predict, shipped
from velatura.tasks.pigment_rules import read_answers, rules_for

pytestmark = pytest.mark.real

M4, XGT = "nexlspectrum/XRF Stainless", "xrflab-standards"
STEELS = (f"{M4}/Steel_50kv_50_ma_Rh_vac_D1.msa", f"{XGT}/stainless steel.txt")
NO_PIGMENTS = (
    *STEELS, f"{M4}/Ni_50kv_50_ma_Rh_vac_D1.msa", f"{M4}/Zr_50kv_50_ma_Rh_vac_D1.msa",
    f"{XGT}/cubic zirconia.txt", f"{XGT}/STDS standard.txt", f"{XGT}/NIST 2587.txt",
)  # fmt: skip


@pytest.fixture(scope="module")
def model() -> PigmentModel:
    if shipped("best") is None:
        pytest.skip("no weights are shipped")
    return load_pigments("best")


def asked(paths: list[Path], model: PigmentModel) -> tuple[Answers, np.ndarray]:
    """Answers for spectra thinned to 100,000 counts, the instrument not told."""
    rng, rows = np.random.default_rng(0), []
    ends = channel_edges(grid())[[0, -1]]
    for path in paths:
        spectrum = read_spectrum_file(path)
        edges = channel_edges(spectrum.axis())
        inside = (edges[:-1] >= ends[0]) & (edges[1:] <= ends[1])
        counts = np.maximum(spectrum.counts[inside], 0).astype(np.uint32)
        rows.append(redistribute(counts, spectrum.axis()[inside], grid(), rng=rng))
    features = at_most(np.array(rows, np.float32), seed=0)
    return read_answers(predict(model, features, np.zeros((len(rows), 8), np.float32)), rules_for(model))


def test_metals_ceramics_and_soils_are_unknown(model: PigmentModel, data: Path) -> None:
    _, unknown = asked([data / "standards" / name for name in NO_PIGMENTS], model)
    assert unknown.all(), [name for name, said in zip(NO_PIGMENTS, unknown, strict=True) if not said]


def test_stainless_steel_holds_no_lead_white_nor_vermilion(model: PigmentModel, data: Path) -> None:
    answers, _ = asked([data / "standards" / name for name in STEELS], model)
    names = [row.name for row in model.classes]
    for absent in ("Pb", "Hg", "Au", "Cd"):
        assert answers.probability[:, :, names.index(absent)].max() < 0.1, absent


def test_acrylic_holds_no_pigment(model: PigmentModel, data: Path) -> None:
    answers, _ = asked([data / "standards" / M4 / "Acrylic_50kv_50_ma_Rh_vac_D1.msa"], model)
    found = np.argwhere(answers.probability[0] >= model.thresholds)
    assert not [model.classes[number].name for _, number in found.tolist()]


@pytest.mark.parametrize("name", STEELS)
def test_lines_name_iron_chromium_and_nickel_in_steel(data: Path, name: str) -> None:
    spectrum = read_spectrum_file(data / "standards" / name)
    found = elements_in(spectrum.counts, spectrum.axis(), anode="Rh")
    strongest = sorted((one for one in found if one.role == "sample"), key=lambda one: -one.counts)[:3]
    assert {one.element for one in strongest} == {"Fe", "Cr", "Ni"}
