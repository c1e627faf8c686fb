from pathlib import Path

import numpy as np
import pytest

from velatura.atomic.lines import group
from velatura.base.cube import make_cube
from velatura.base.errors import InputError
from velatura.io.spectrum import Spectrum, write_spectrum_file
from velatura.physics.detector import Detector, line_response
from velatura.scene.classes import xrf_classes
from velatura.scene.training import grid
from velatura.tasks.pigment_spots import gather_spots, read_spots, spots_of

CLASSES = xrf_classes()
NAMES = [row.name for row in CLASSES]


def number(name: str) -> int:
    return NAMES.index(name)


def lines_of(*names: str, counts: float = 5e3) -> np.ndarray:
    """Expected counts of some lines over a low background on the network's grid."""
    energies = np.array([group(name).energy for name in names])
    return counts * line_response(energies, grid(), detector=Detector()).sum(axis=0) + 3.0


@pytest.fixture
def table(tmp_path: Path):
    def write(text: str) -> Path:
        path = tmp_path / "spots.csv"
        path.write_text(text, encoding="utf-8")
        return path

    return write


@pytest.fixture
def cube(rng):
    """4 x 5 pixels of lead and mercury; (y 3, x 4) has nothing; channel of 0.02 keV."""
    energy = 0.02 * np.arange(2048)
    lines = np.array([group(name).energy for name in ("Pb-La", "Pb-Lb", "Hg-La", "Hg-Lb")])
    expected = 300 * line_response(lines, energy, detector=Detector()).sum(axis=0) + 0.2
    counts = rng.poisson(np.broadcast_to(expected, (4, 5, 2048))).astype(np.uint16)
    counts[3, 4] = 0
    return make_cube(counts, zero=0.0, gain=0.02)


def test_a_table_is_read_as_it_is_meant(table) -> None:
    path = table("x,y,pigments,hidden,absent\n# a note\n3,1,lead_white; vermilion,,Cu\n\n0,2,unknown,azurite,\n")
    one, other = read_spots(path, CLASSES)
    assert one.pixel == (1, 3)
    assert one.pigments == (number("Pb"), number("Hg"))
    assert one.absent == (number("Cu"),)
    assert other.pigments == (len(CLASSES),)
    assert other.hidden == (number("Cu"),)
    assert "line 5 (x 0, y 2)" in other.name


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x,y,pigment\n1,1,Pb\n", "no column 'pigment'.*did you mean \"pigments\""),
        ("x,pigments\n1,Pb\n", "needs the columns x, y, pigments or file"),
        ("x,y,pigments\n", "nothing is labelled"),
        ("x,y,pigments\n1,1,\n", "line 2 .x 1, y 1.: nothing is labelled"),
        ("x,y,pigments\n1,1,lead_wite\n", 'line 2.*no pigment.*did you mean "lead_white"'),
        ("x,y,pigments\n1.5,1,Pb\n", "two whole numbers, or a file; found x = '1.5'"),
        ("x,y,pigments\n1,1,Pb,Hg\n", "more values than columns. Put ; between"),
        ("x,y,pigments,absent\n1,1,Pb,lead_white\n", "Pb is said to be there and to be absent"),
        ("x;y;pigments\n1;1;Pb\n", "no column 'x;y;pigments'"),
    ],
)
def test_tables_that_say_nothing_clear_are_refused(table, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_spots(table(text), CLASSES)


def test_a_missing_table_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no table of spots"):
        read_spots(tmp_path / "none.csv", CLASSES)


def test_a_spot_is_the_sum_of_its_neighbourhood(table, cube, rng) -> None:
    spots = read_spots(table("x,y,pigments\n2,2,Pb\n0,0,Pb\n"), CLASSES)
    wide = gather_spots(spots, CLASSES, cube, rng=rng)
    alone = gather_spots(spots, CLASSES, cube, radius=0, rng=rng)
    counts = cube.counts.values[..., 50:2000].astype(int)
    assert alone.features[0].sum() == pytest.approx(counts[2, 2].sum(), rel=0.03)
    inside, corner = (
        cube.counts.values[rows, columns].sum()
        for rows, columns in (((slice(1, 4)), slice(1, 4)), (slice(2), slice(2)))
    )
    assert wide.features.sum(axis=1) == pytest.approx([inside, corner], rel=0.03)
    np.testing.assert_array_equal(wide.features, np.rint(wide.features))


def test_what_is_not_named_is_absent_only_where_a_marker_has_no_lines(rng) -> None:
    counts = rng.poisson(lines_of("Pb-La", "Pb-Lb", "Hg-La", "Hg-Lb", "Fe-Ka"))[None].astype(np.float32)
    table = [_spot(pigments=(number("Pb"),), hidden=())]
    spots = spots_of(table, counts, CLASSES, anode="Rh", tube_voltage=40.0)
    known, said = spots.mask[0], spots.labels[0]
    assert said[0, number("Pb")]
    assert known[0, number("Pb")]
    assert not known[1, number("Pb")]  # nobody said what lies beneath
    for name in ("Cu", "Zn", "Cd", "Pb-Cr", "Cu-As"):
        assert known[:, number(name)].all()
        assert not said[:, number(name)].any()
    for name in ("Hg", "Fe"):
        assert not known[:, number(name)].any()
    assert not known[:, number("light")].any()
    assert not known[:, len(CLASSES)].any()


def test_absent_and_hidden_are_believed(rng) -> None:
    counts = rng.poisson(lines_of("Pb-La", "Pb-Lb", "Hg-La", "Hg-Lb"))[None].astype(np.float32)
    spot = _spot(pigments=(number("Pb"),), hidden=(number("Hg"),), absent=(len(CLASSES),))
    spots = spots_of([spot], counts, CLASSES)
    assert spots.labels[0, 1, number("Hg")]
    assert spots.mask[0, 1, number("Hg")]
    assert not spots.mask[0, 0, number("Hg")]
    assert spots.mask[0, :, len(CLASSES)].all()


def test_a_spectrum_of_its_own(table, tmp_path: Path, rng) -> None:
    counts = rng.poisson(lines_of("Cu-Ka", "Cu-Kb")).astype(float)
    write_spectrum_file(Spectrum(counts, zero=grid()[0], gain=grid()[1] - grid()[0]), tmp_path / "a.msa")
    spots = gather_spots(read_spots(table("file,pigments\na.msa,azurite\n"), CLASSES), CLASSES, rng=rng)
    assert spots.features[0].sum() == pytest.approx(counts.sum(), abs=3)
    assert spots.chosen([0]).names == spots.names


def test_spots_outside_the_scan_and_without_one_are_refused(table, cube, rng) -> None:
    spots = read_spots(table("x,y,pigments\n5,1,Pb\n"), CLASSES)
    with pytest.raises(InputError, match=r"lies outside the scan of 5 x 4 pixels. x runs from 0 to 4"):
        gather_spots(spots, CLASSES, cube, rng=rng)
    with pytest.raises(InputError, match="no scan is given"):
        gather_spots(spots, CLASSES, rng=rng)
    empty = read_spots(table("x,y,pigments\n4,3,Pb\n"), CLASSES)
    with pytest.raises(InputError, match="has no counts"):
        gather_spots(empty, CLASSES, cube, radius=0, rng=rng)


def _spot(*, pigments: tuple[int, ...], hidden: tuple[int, ...], absent: tuple[int, ...] = ()):
    from velatura.tasks.pigment_spots import Spot

    return Spot("spot", None, None, pigments, hidden, absent)
