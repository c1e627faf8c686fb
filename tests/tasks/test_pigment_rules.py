"""What a user knows of a painting: period and palette change odds and names, never silently what was seen."""

import jax
import numpy as np
import pytest

from velatura.base.errors import InputError
from velatura.tasks.pigment_model import Answers, PigmentModel, untrained
from velatura.tasks.pigment_rules import OUTSIDE, SELDOM, group_names, invisible_names, read_answers, rules_for, years

CLASSES = 46


@pytest.fixture(scope="module")
def model() -> PigmentModel:
    return untrained(key=jax.random.key(0))


def place(model: PigmentModel, name: str) -> int:
    return [row.name for row in model.classes].index(name)


def answers(probability: np.ndarray, *, unknown: float = 0.1, strangeness: float = 0.5) -> Answers:
    one = np.ones(len(probability), np.float32)
    return Answers(
        probability.astype(np.float32), unknown * one, strangeness * one, 0.5 * one,
        np.zeros_like(probability, dtype=np.float32), np.ones((len(probability), 2), np.float32),
    )  # fmt: skip


def odds(probability: np.ndarray) -> np.ndarray:
    return probability / (1 - probability)


def test_without_knowledge_what_can_be_seen_stays_as_it_is(model, rng) -> None:
    rules = rules_for(model)
    said = answers(rng.uniform(0.01, 0.99, (5, 2, CLASSES)))
    read, foreign = read_answers(said, rules)
    seen = np.array([row.visible for row in model.classes])
    usual = seen & ~rules.seldom
    np.testing.assert_allclose(read.probability[..., usual], said.probability[..., usual], atol=1e-5)
    assert not read.probability[..., ~seen].any()
    assert not foreign.any()


def test_what_painters_seldom_used_needs_more_evidence_unless_the_palette_names_it(model, rng) -> None:
    said = answers(rng.uniform(0.1, 0.9, (4, 2, CLASSES)))
    green = place(model, "Zn-Co")
    read, _ = read_answers(said, rules_for(model))
    np.testing.assert_allclose(
        odds(said.probability[..., green]) / odds(read.probability[..., green]), SELDOM, rtol=1e-3
    )
    named, _ = read_answers(said, rules_for(model, palette=("cobalt_green", "lead_white")))
    np.testing.assert_allclose(named.probability[..., green], said.probability[..., green], rtol=1e-5)


def test_outside_the_period_odds_fall_twentyfold_and_the_class_is_flagged(model, rng) -> None:
    rules = rules_for(model, period=(1600, 1650))
    said = answers(rng.uniform(0.1, 0.9, (4, 2, CLASSES)))
    read, _ = read_answers(said, rules)
    white, lead = place(model, "Ti"), place(model, "Pb")
    assert rules.outside[white]
    assert not rules.outside[lead]
    ratio = odds(said.probability[..., white]) / odds(read.probability[..., white])
    np.testing.assert_allclose(ratio, OUTSIDE, rtol=1e-3)
    np.testing.assert_allclose(read.probability[..., lead], said.probability[..., lead], rtol=1e-5)


def test_members_that_were_not_in_use_leave_the_name_of_the_group(model) -> None:
    copper, white = place(model, "Cu"), place(model, "Ti")
    assert "phthal" not in group_names(rules_for(model, period=(1600, 1650)))[copper].lower()
    narrow = rules_for(model, palette=("azurite", "malachite", "lead_white"))
    assert group_names(narrow)[copper] == "azurite or malachite: Cu"
    assert "titanium white" in group_names(rules_for(model, period=(1600, 1650)))[white]  # a retouch has a name too


def test_what_is_excluded_counts_as_unknown_where_it_is_seen(model) -> None:
    rules = rules_for(model, exclude=("Hg",))
    mercury, probability = place(model, "Hg"), np.full((2, 2, CLASSES), 0.01)
    probability[0, 1, mercury] = 0.97
    read, foreign = read_answers(answers(probability), rules)
    assert not read.probability[..., mercury].any()
    np.testing.assert_array_equal(foreign, [True, False])
    np.testing.assert_allclose(read.unknown, [0.97, 0.1], rtol=1e-5)


@pytest.mark.parametrize(("said", "unknown"), [({"unknown": 0.6}, True), ({"strangeness": 0.995}, True), ({}, False)])
def test_unknown_by_its_probability_or_by_strangeness(model, said, unknown) -> None:
    _, foreign = read_answers(answers(np.full((1, 2, CLASSES), 0.2), **said), rules_for(model))
    assert foreign[0] == unknown


def test_what_has_no_line_of_its_own_is_named(model) -> None:
    early = invisible_names(rules_for(model, period=(1500, 1600)))
    assert "carbon black" in early
    assert "madder lake" in early
    assert not any("synthetic" in name for name in early)


def test_names_that_are_not_known_and_palettes_that_leave_nothing(model) -> None:
    with pytest.raises(InputError, match='did you mean "azurite"'):
        rules_for(model, palette=("azurit",))
    with pytest.raises(InputError, match="none of the allowed pigments has an element"):
        rules_for(model, palette=("carbon_black", "indigo"))


@pytest.mark.parametrize(("text", "found"), [("1880-1905", (1880, 1905)), ("1650", (1650, 1650)), (None, None)])
def test_periods(text, found) -> None:
    assert years(text) == found


@pytest.mark.parametrize("text", ["baroque", "1905-1880", ""])
def test_what_is_no_period(text) -> None:
    with pytest.raises(InputError, match="a period"):
        years(text)
