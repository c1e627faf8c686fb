import numpy as np
import pytest

from velatura.base.errors import InputError
from velatura.physics.material import materials
from velatura.scene.classes import class_matrix, restricted, xrf_classes
from velatura.scene.sampler import Sampling, pigments_of


def test_every_pigment_is_in_one_class() -> None:
    classes = xrf_classes()
    pigments = [name for name, row in materials().items() if row.kind == "pigment"]
    assert len(classes) == 46
    assert sorted(name for row in classes for name in row.members) == sorted(pigments)
    matrix = class_matrix(pigments, classes)
    assert matrix.shape == (96, 46)
    np.testing.assert_array_equal(matrix.sum(axis=1), 1)
    lead = next(row for row in classes if row.name == "Pb")
    assert lead == ("Pb", ("lead_white", "massicot", "red_lead"), ("Pb",), True)


def test_what_has_no_lines_is_called_invisible() -> None:
    classes = {row.name: row for row in xrf_classes()}
    assert [name for name, row in classes.items() if not row.visible] == ["light", "none"]
    assert "carbon_black" in classes["none"].members
    assert all(row.markers for row in classes.values() if row.visible)


def test_shares_of_members_add_up() -> None:
    pigments = pigments_of(Sampling(palette=("cinnabar", "vermilion", "azurite")))
    classes = xrf_classes()
    added = np.array([0.25, 0.5, 0.25]) @ class_matrix(pigments, classes)
    assert {classes[k].name: added[k] for k in np.flatnonzero(added)} == {"Hg": 0.75, "Cu": 0.25}


def test_a_palette_keeps_the_order_of_the_classes() -> None:
    classes = xrf_classes()
    kept = restricted(classes, palette=("Cu", "lead_white", "vermilion"), exclude=("phthalo_blue",))
    assert [row.name for row in kept] == [row.name for row in classes]
    left = {row.name: row.members for row in kept if row.members}
    assert left == {
        "Pb": ("lead_white",),
        "Hg": ("vermilion",),
        "Cu": ("azurite", "blue_verditer", "malachite", "verdigris", "copper_resinate"),
    }
    assert restricted(classes) == classes


def test_unknown_names_are_refused() -> None:
    with pytest.raises(InputError, match="no pigment or XRF class 'azurit'"):
        restricted(xrf_classes(), exclude=("azurit",))
    with pytest.raises(InputError, match="leaves no pigment"):
        restricted(xrf_classes(), palette=("Hg",), exclude=("vermilion", "cinnabar"))
    with pytest.raises(InputError, match="in none of the 1 XRF classes"):
        class_matrix(["azurite"], xrf_classes()[:1])
