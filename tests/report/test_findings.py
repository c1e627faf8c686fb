"""The sentences say what the results hold, and say so when nothing was found."""

import numpy as np

from velatura.report import findings


def test_a_patch_goes_before_a_single_pixel(segment) -> None:
    maps = segment()
    anomaly = np.full(maps.anomaly.shape, 0.5)
    anomaly[5:8, 4:7] = 1.6
    anomaly[6, 5] = 1.9
    anomaly[20, 12] = 2.5
    maps["anomaly"] = ("y", "x"), anomaly
    first, second = findings.anomalous_spots(maps)
    assert (first.x, first.y, first.peak, first.pixels) == (5, 6, 1.9, 9)
    assert (second.x, second.y, second.peak, second.pixels) == (12, 20, 2.5, 1)
    assert "column 5, row 6: a patch of 9 pixels, up to 1.9 times" in findings.anomaly_finding([first, second])


def test_no_anomaly_is_said_plainly(segment) -> None:
    maps = segment()
    maps["anomaly"] *= 0
    assert findings.anomalous_spots(maps) == []
    assert "No pixel stands out" in findings.anomaly_finding([])


def test_unused_and_infinite_pixels_are_no_anomalies(segment) -> None:
    maps = segment()
    maps["anomaly"][:] = 0.2
    maps["anomaly"][0] = 9.0  # the row that is not used
    maps["anomaly"][3, 3] = np.inf
    assert findings.anomalous_spots(maps) == []


def test_hidden_is_announced_only_when_the_result_says_so(segment) -> None:
    maps = segment()
    assert findings.hidden_finding(maps).startswith("One map is announced as possibly hidden: P1 (Hg-La, in C1 and C2)")
    quiet = maps.assign_coords(hidden=("proposal", [False, False]))
    assert findings.hidden_finding(quiet).startswith("Nothing hidden was found")
    assert "Two joins of clusters" in findings.hidden_finding(quiet)
    none = maps.isel(proposal=slice(0))
    assert findings.hidden_finding(none).endswith("strong enough to announce.")
    assert "not made" in findings.hidden_finding(maps.drop_dims("proposal"))


def test_largest_and_rarest_cluster_are_named(segment) -> None:
    maps = segment()
    shares = maps.membership.sum(("y", "x")).values
    sentence = findings.materials_finding(maps)
    assert f"The largest is C{shares.argmax() + 1} (" in sentence
    assert f"the rarest C{shares.argmin() + 1} (" in sentence


def test_the_strongest_lines_come_first(elements) -> None:
    result = elements()
    result["intensity"][2] += 1000
    first, second = findings.element_findings(result)
    assert "Four lines were mapped; the strongest: Hg-La" in first
    assert second.startswith("One overlap of lines")


def test_a_proposal_says_what_it_joins_and_what_was_set_aside(segment) -> None:
    maps = segment().assign_coords(
        members=("proposal", ["C1+C2+C3", "C2"]),
        signature=("proposal", ["Hg-La", "Pb-La without Hg-La, Cu-Ka"]),
        passages=("proposal", [4, 0]),
    )
    first, second = (" ".join(sentences) for sentences in findings.proposal_sentences(maps))
    assert first.startswith("Joins the parts of C1, C2 and C3 that hold more Hg-La than other paint")
    assert "20 times its uncertainty" in first
    assert first.endswith("crosses 4 visible passages without a change of their surface: it may lie beneath them.")
    assert "The part of C2 that holds more Pb-La" in second
    assert "once Hg-La and Cu-Ka of the maps before are set aside" in second
    assert "not announced as hidden" in second
