import numpy as np
import pytest

from velatura.physics.material import materials
from velatura.scene.classes import xrf_classes
from velatura.scene.sampler import Sampling, sample_elements, sample_stacks
from velatura.scene.specimens import specimen_table, specimens
from velatura.scene.strangers import FAMILIES, UNSEEN


def test_the_table_names_alloys_and_others_with_a_source_each() -> None:
    names = [row.material.name for row in specimens()]
    families = [row.family for row in specimens()]
    assert len(set(names)) == len(names)
    assert not set(names) & set(materials())
    assert families.count("alloy") >= 15
    assert len(families) - families.count("alloy") >= 20
    assert set(families) == {"alloy", "mineral", "stone", "glass", "ceramic", "soil"}
    assert all(row.source and row.material.kind == "pigment" for row in specimens())


@pytest.mark.parametrize("row", specimens(), ids=lambda row: row.material.name)
def test_compositions_sum_to_one_and_densities_are_those_of_solids(row) -> None:
    fractions = row.material.mass_fractions()
    assert sum(fractions.values()) == pytest.approx(1.0, abs=1e-9)
    assert 1.0 < row.material.density < 20
    assert row.mixes == (row.family != "alloy")


@pytest.mark.parametrize(
    ("name", "element", "fraction"),
    [
        ("galena", "Pb", 0.8660),  # Handbook of Mineralogy: 86.60 % Pb
        ("scheelite", "W", 0.6385),  # 80.53 % WO3
        ("chalcopyrite", "Cu", 0.3463),  # 34.63 % Cu
        ("celestine", "Sr", 0.4770),  # 56.42 % SrO
        ("pyromorphite", "Pb", 0.7639),  # 82.29 % PbO
        ("basalt", "Fe", 0.0965),  # BCR-2: 13.8 % Fe2O3
    ],
)
def test_mass_shares_are_the_published_ones(name: str, element: str, fraction: float) -> None:
    held = specimen_table()[name].mass_fractions()
    assert held[element] == pytest.approx(fraction, rel=0.02)


def test_a_density_follows_from_its_metals() -> None:
    """Volumes of copper and zinc add up in brass within 3.5 %: the alloy shrinks (densities: CRC Handbook)."""
    assert specimen_table()["brass"].density == pytest.approx(1 / (0.63 / 8.96 + 0.37 / 7.14), rel=0.035)


def test_twins_hold_the_elements_that_mark_the_specimen() -> None:
    """Whatever makes up more than a tenth of a specimen with twins, from potassium on, is in the twins too."""
    classes = {row.name: row for row in xrf_classes()}
    light = {"H", "B", "C", "N", "O", "F", "Na", "Mg", "Al", "Si", "P", "S", "K"}
    for row in specimens():
        assert set(row.twins) <= set(classes), row.material.name
        held = {
            element
            for twin in row.twins
            for member in classes[twin].members
            for element in materials()[member].mass_fractions()
        }
        main = {element for element, share in row.material.mass_fractions().items() if share > 0.1} - light
        assert not row.twins or main <= held, row.material.name


def test_what_no_twin_explains_holds_an_element_of_its_own_or_an_odd_set() -> None:
    free = {row.material.name for row in specimens() if not row.twins}
    assert {"scheelite", "zircon", "monazite", "ti_6al_4v", "celestine"} <= free
    assert not {"galena", "brass", "cassiterite"} & free


def test_the_strangers_of_training_are_other_materials() -> None:
    made_up = {*UNSEEN, *(element for family in FAMILIES for element in family)}
    shared = [row.material.name for row in specimens() if set(row.material.mass_fractions()) & made_up]
    assert len(shared) < len(specimens()) / 4


def test_specimens_go_through_the_sampler_as_pieces_and_in_paint() -> None:
    pieces = tuple(row.material.name for row in specimens() if not row.mixes)
    ground = tuple(row.material.name for row in specimens() if row.mixes)
    drawn = Sampling(palette=("lead_white", *ground, *pieces), pieces=pieces, bare=0.5, table=specimen_table())
    stacks = sample_stacks(64, sample_elements(drawn), options=drawn, rng=np.random.default_rng(0))
    as_piece = stacks.volume_share[:, 0, -len(pieces) :].sum(axis=1)
    assert set(np.unique(as_piece)) == {0.0, 1.0}
    assert (stacks.volume_share[:, 0, 1 : 1 + len(ground)].sum(axis=1) > 0).any()
