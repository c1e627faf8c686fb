"""Labels above spectra: apart, in order, inside, and no further from their lines than need be."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize

from velatura.report.drawing import POINT, new_figure, place
from velatura.report.line_labels import LETTER_WIDTH, LineLabel, choose, draw_labels, spread
from velatura.report.line_names import cluster_lines, companions, proposal_lines, tabulated_lines

POSITIONS = st.lists(st.floats(0, 1), min_size=1, max_size=12).map(sorted)


@given(POSITIONS)
def test_labels_keep_order_distance_and_frame(wanted: list[float]) -> None:
    placed = spread(np.array(wanted), gap=0.07, low=0, high=1)
    assert np.all(np.diff(placed) >= 0.07 - 1e-9)
    assert placed[0] >= -1e-9
    assert placed[-1] <= 1 + 1e-9


def test_labels_lie_as_near_as_least_squares_allows() -> None:
    wanted = np.array([0.02, 0.03, 0.3, 0.31, 0.33, 0.9])
    apart = [{"type": "ineq", "fun": lambda q, i=i: q[i + 1] - q[i] - 0.08} for i in range(5)]
    oracle = minimize(lambda q: np.sum((q - wanted) ** 2), np.linspace(0, 1, 6), bounds=[(0, 1)] * 6, constraints=apart)
    assert spread(wanted, gap=0.08, low=0, high=1) == pytest.approx(oracle.x, abs=2e-4)


def test_the_lightest_labels_give_way() -> None:
    labels = [LineLabel(f"L{i}", 1.0 + i, weight=i) for i in range(40)]
    shown = choose(labels, axes_width=10 * LETTER_WIDTH, within=(0, 35))
    assert [label.name for label in shown] == [f"L{i}" for i in range(25, 35)]


def test_drawn_labels_do_not_overlap() -> None:
    figure = new_figure(300, 200)
    axes = place(figure, (40, 30, 250, 110))
    axes.set_xlim(0, 20)
    left_out = draw_labels(axes, [LineLabel(f"Fe-K{i}", 6 + 0.05 * i) for i in range(12)])
    at = [axes.transAxes.transform(text.get_position())[0] * POINT / figure.dpi for text in axes.texts]
    assert left_out == 0
    assert len(at) == 12
    assert min(np.diff(at)) >= axes.texts[0].get_size()


def test_lines_of_a_cluster_are_those_of_its_elements(elements, segment) -> None:
    names = {label.name for label in cluster_lines(segment(), 0, elements())}
    assert names == {"Fe-Ka", "Fe-Kb", "Pb-La", "Pb-Lb"}


def test_companions_are_named_where_they_stand_apart() -> None:
    energy = np.linspace(0, 20, 400)
    labels = [LineLabel("Fe-Ka", 6.40), LineLabel("Co-Ka", 6.93), LineLabel("Pb-La", 10.55), LineLabel("scatter", 18.0)]
    found = {label.name: label.energy for label in companions(labels, energy, np.ones(400))}
    assert set(found) == {"Co-Kb", "Pb-Lb"}
    assert found["Pb-Lb"] == pytest.approx(12.6, abs=0.1)


def test_without_element_maps_the_tables_name_the_lines(segment) -> None:
    assert {label.name for label in cluster_lines(segment(), 0)} == {"Fe-Ka", "Pb-La"}
    assert [label.name for label in proposal_lines(segment(), 0)] == ["Hg-La"]
    assert tabulated_lines({"Xx", "painting"}, 20.0) == []


def test_the_signature_of_a_proposal_is_always_named(elements, segment) -> None:
    assert proposal_lines(segment(), 0, elements())[0].name == "Hg-La"
