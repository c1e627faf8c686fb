"""How answers of the query service and of Commons are read, in the forms that their documentation shows."""

import re
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from velatura.base.errors import FileFormatError, InputError
from velatura.io.downloads import retry_after, user_agent
from velatura.io.wikidata import PAINTING, is_lagging, painting_query, read_paintings, read_pictures


def row(item: str, artist: str = "Q762", died: str = "1519-05-02T00:00:00Z", **more: str) -> dict:
    entity = "http://www.wikidata.org/entity/"
    found = {
        "painting": f"{entity}{item}",
        "image": "http://commons.wikimedia.org/wiki/Special:FilePath/Mona%20Lisa%2C%20by%20L%C3%A9onard.jpg",
        "artist": f"{entity}{artist}",
        "died": died,
        **more,
    }
    return {name: {"type": "uri", "value": value} for name, value in found.items()}


def answer(*rows: dict) -> dict:
    return {"head": {"vars": []}, "results": {"bindings": list(rows)}}


def test_a_query_is_standard_sparql() -> None:
    query = painting_query(PAINTING, first=1500, end=1525, most=100)
    assert 'FILTER(?died >= "1500-01-01T00:00:00Z"^^xsd:dateTime' in query
    assert query.count("{") == query.count("}") == 9
    assert query.count("(") == query.count(")")
    used = set(re.findall(r"\b([a-z]+):\w", query.split("SELECT", 1)[1]))
    assert used == set(re.findall(r"PREFIX (\w+):", query))
    assert "SERVICE" not in query
    # a second artist may have died too late to be in the answer at all
    assert "FILTER NOT EXISTS { ?painting wdt:P170 ?other . FILTER(?other != ?artist) }" in query
    assert "hint:" not in query


def test_paintings_are_read() -> None:
    (found,) = read_paintings(answer(row("Q12418", title="Mona  Lisa", name="Leonardo da Vinci")))
    assert found == ("Q12418", "Mona Lisa, by Léonard.jpg", "Mona Lisa", "Leonardo da Vinci", "Q762", 1519)
    (bare,) = read_paintings(answer(row("Q12418")))
    assert (bare.title, bare.artist) == ("Mona Lisa, by Léonard", "Q762")


def test_doubtful_paintings_are_left_out() -> None:
    public, held = (f"http://www.wikidata.org/entity/{item}" for item in ("Q19652", "Q50423863"))
    found = read_paintings(
        answer(
            row("Q1"), row("Q1", artist="Q5"),  # two artists
            row("Q2", status=held),
            row("Q3", status=held), row("Q3", status=public),  # elsewhere free
            row("Q4", died="t2351"),  # an unknown date
            row("Q5", title="one"), row("Q5", title="two"),
        )
    )  # fmt: skip
    assert [one.item for one in found] == ["Q3", "Q5"]


def test_pictures_are_found_under_the_names_asked_for() -> None:
    def page(title: str, **extra: str) -> dict:
        told = {name: {"value": value, "source": "commons-desc-page"} for name, value in extra.items()}
        info = {"thumburl": "https://x/t.jpg", "url": "https://x/o.jpg", "descriptionurl": "https://x/p"}
        return {"title": title, "imageinfo": [{**info, "extmetadata": told}]}

    found = read_pictures(
        {
            "query": {
                "normalized": [{"fromencoded": False, "from": "File:a_b.jpg", "to": "File:A b.jpg"}],
                "redirects": [{"from": "File:A b.jpg", "to": "File:New.jpg"}],
                "pages": [
                    page("File:New.jpg", License="cc0", Attribution="<i>Museum</i><br>Town", LicenseUrl="https://l"),
                    page("File:C.jpg", License="cc-by-4.0", LicenseShortName="CC BY 4.0", Copyrighted="True"),
                    {"title": "File:D.jpg", "missing": True, "imagerepository": ""},
                ],
            }
        },
        ["a_b.jpg", "C.jpg", "D.jpg", "E.jpg"],
    )
    assert set(found) == {"a_b.jpg", "C.jpg"}
    assert found["a_b.jpg"] == ("https://x/t.jpg", "https://x/p", "not stated (https://l)", "Museum Town", True)
    assert found["C.jpg"][2:] == ("CC BY 4.0", "via Wikimedia Commons", False)


def test_other_answers_are_refused() -> None:
    for wrong in ({}, {"results": {}}, [], answer({"painting": {"value": "x"}})):
        with pytest.raises(FileFormatError, match="the query service was asked for paintings"):
            read_paintings(wrong)
    with pytest.raises(FileFormatError, match="Too many values"):
        read_pictures({"error": {"code": "toomanyvalues", "info": "Too many values"}}, ["x.jpg"])


def test_lag_is_seen() -> None:
    assert is_lagging(b'{"error": {"code": "maxlag", "info": "Waiting for db1"}}')
    assert not is_lagging(b'{"query": {"pages": []}}')


def test_dates_to_come_back() -> None:
    then = format_datetime(datetime.now(UTC) + timedelta(minutes=2), usegmt=True)
    assert retry_after(then) == pytest.approx(120, abs=5)
    assert retry_after("Wed, 21 Oct 2015 07:28:00 GMT") == 0


def test_we_say_who_we_are() -> None:
    assert re.fullmatch(r"Velatura/[\d.]+ \(a@example\.org\) Python-urllib/[\d.]+", user_agent("a@example.org"))
    with pytest.raises(InputError, match="cannot stand in a request"):
        user_agent("a\nb: c")
