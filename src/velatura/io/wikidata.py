"""Paintings in Wikidata and their pictures on Wikimedia Commons: the questions asked and how the answers are read.

Items: painting Q3305213, fresco Q134194, public domain Q19652. Properties: image P18, creator P170, date of death P570,
instance of P31, copyright status P6216. Answers of the query service: SPARQL 1.1 Query Results JSON Format (W3C, 2013);
of Commons: action API, module imageinfo with extmetadata (extension CommonsMetadata).
"""

import re
from collections.abc import Iterable, Sequence
from html.parser import HTMLParser
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

from velatura.base.errors import FileFormatError
from velatura.io.downloads import SERVER_ERROR, RefusedError, Visitor

QUERY_SERVICE = "https://query.wikidata.org/sparql"
COMMONS = "https://commons.wikimedia.org/w/api.php"
PAINTING, FRESCO = "Q3305213", "Q134194"
PUBLIC_DOMAIN = "Q19652"
PUBLIC_MARKS = ("pd", "cc0", "cc-zero")  # how Commons' licence codes of the public domain begin
FEWEST = 20  # rows below which a query that takes too long is given up
TOGETHER = 20  # pictures in one request to Commons: the address stays well under 8 kB
LONGEST = 500  # characters kept of an attribution
QUERY = """\
PREFIX wd: <http://www.wikidata.org/entity/>
PREFIX wdt: <http://www.wikidata.org/prop/direct/>
PREFIX rdfs: <http://www.w3.org/2000/01/rdf-schema#>
PREFIX xsd: <http://www.w3.org/2001/XMLSchema#>
SELECT ?painting ?image ?artist ?died ?title ?name ?status WHERE {{
  {{ SELECT ?painting ?image ?artist ?died WHERE {{
    ?painting wdt:P31 wd:{kind} ; wdt:P170 ?artist ; wdt:P18 ?image .
    ?artist wdt:P570 ?died .
    FILTER(?died >= "{first:04d}-01-01T00:00:00Z"^^xsd:dateTime && ?died < "{end:04d}-01-01T00:00:00Z"^^xsd:dateTime)
    FILTER NOT EXISTS {{ ?painting wdt:P170 ?other . FILTER(?other != ?artist) }}
  }} LIMIT {most} }}
  OPTIONAL {{ ?painting rdfs:label ?title_en . FILTER(LANG(?title_en) = "en") }}
  OPTIONAL {{ ?painting rdfs:label ?title_mul . FILTER(LANG(?title_mul) = "mul") }}
  OPTIONAL {{ ?artist rdfs:label ?name_en . FILTER(LANG(?name_en) = "en") }}
  OPTIONAL {{ ?artist rdfs:label ?name_mul . FILTER(LANG(?name_mul) = "mul") }}
  OPTIONAL {{ ?painting wdt:P6216 ?status }}
  BIND(COALESCE(?title_en, ?title_mul) AS ?title)
  BIND(COALESCE(?name_en, ?name_mul) AS ?name)
}}"""


class Painting(NamedTuple):
    """One painting of Wikidata."""

    item: str
    """Such as Q12418."""
    image: str
    """File on Commons, such as "Mona Lisa.jpg"."""
    title: str
    artist: str
    artist_item: str
    artist_died: int
    """Year."""


class Picture(NamedTuple):
    """What Commons says of a file."""

    address: str
    """Where the picture of the asked width lies."""
    page: str
    """Its description page."""
    licence: str
    attribution: str
    public_domain: bool


def painting_query(kind: str, *, first: int, end: int, most: int) -> str:
    """Return the SPARQL for works of a kind whose artist died in the years first (included) to end (not included).

    The service leaves out works of several artists: the others may have died in years that nobody asks for. Standard
    SPARQL 1.1, with every prefix declared; at most `most` works, which ones is left to the service.
    """
    return QUERY.format(kind=kind, first=first, end=end, most=most)


def find_paintings(visitor: Visitor, kind: str, *, service: str, first: int, end: int, most: int) -> list[Painting]:
    """Ask the query service; see `painting_query`. One that takes too long is asked for a quarter, then given up.

    Raises InputError when the service cannot be reached or refuses, FileFormatError for an answer of another form.
    """
    while True:
        query = painting_query(kind, first=first, end=end, most=most)
        try:
            answer = visitor.get_json(
                service, {"query": query, "format": "json"}, accept="application/sparql-results+json", attempts=2
            )
            return read_paintings(answer)
        except RefusedError as error:
            if error.status < SERVER_ERROR:
                raise
            if (most := most // 4) < FEWEST:
                return []


def read_paintings(answer: Any) -> list[Painting]:
    """Return the paintings of a query's answer, once each; left out: those of several artists, those under copyright.

    Raises FileFormatError where the answer has another form.
    """
    try:
        rows = answer["results"]["bindings"]
        found: dict[str, Painting | None] = {}
        statuses: dict[str, set[str]] = {}
        for row in rows:
            painting = _painting({name: term["value"] for name, term in row.items()})
            if painting is None:
                continue
            before = found.setdefault(painting.item, painting)
            if before is not None and before.artist_item != painting.artist_item:
                found[painting.item] = None
            if "status" in row:
                statuses.setdefault(painting.item, set()).add(_last(row["status"]["value"]))
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise FileFormatError(
            f"the query service was asked for paintings; its answer has no {error}. Try again later"
        ) from error
    free = [one for one in found.values() if one and PUBLIC_DOMAIN in statuses.get(one.item, {PUBLIC_DOMAIN})]
    return sorted(free)


def _painting(row: dict[str, str]) -> Painting | None:
    if not re.match(r"\d{4}-", row["died"]):
        return None
    image, item, artist = unquote(_last(row["image"])), _last(row["painting"]), _last(row["artist"])
    title = row.get("title") or image.rsplit(".", 1)[0]
    title, name = (" ".join(words.split()) for words in (title, row.get("name") or artist))
    return Painting(item, image, title, name, artist, int(row["died"][:4]))


def find_pictures(visitor: Visitor, images: Sequence[str], *, service: str, width: int) -> dict[str, Picture]:
    """Ask Commons for at most TOGETHER files; return what it knows of each that it has, by the name asked for.

    width: of the pictures [pixels]; smaller originals stay as they are. Raises as `find_paintings` does.
    """
    question = {
        "action": "query", "format": "json", "formatversion": "2", "maxlag": "5", "redirects": "1",
        "prop": "imageinfo", "iiprop": "url|extmetadata", "iiurlwidth": str(width), "iiextmetadatalanguage": "en",
        "titles": "|".join(f"File:{image}" for image in images),
    }  # fmt: skip
    answer = visitor.get_json(service, question, accept="application/json", busy=is_lagging)
    return read_pictures(answer, images)


def is_lagging(content: bytes) -> bool:
    """Whether the action API asks to come back later: its error "maxlag" has the status 200."""
    return bool(re.match(rb'\s*{\s*"error"\s*:\s*{\s*"code"\s*:\s*"(maxlag|ratelimited)"', content))


def read_pictures(answer: Any, images: Iterable[str]) -> dict[str, Picture]:
    """Return what an answer of the action API (formatversion 2) says of files, by the name asked for.

    Files that Commons has not, or that are no pictures, are missing. Raises FileFormatError for another form.
    """
    try:
        query = answer["query"]
        pages = {page["title"]: page for page in query["pages"]}
        renamed = {step["from"]: step["to"] for name in ("normalized", "redirects") for step in query.get(name, ())}
        found = {}
        for image in images:
            title = f"File:{image}"
            for _ in range(2):  # normalised, then redirected
                title = renamed.get(title, title)
            if info := pages.get(title, {}).get("imageinfo"):
                found[image] = _picture(info[0])
    except (KeyError, TypeError, AttributeError) as error:
        told = answer.get("error", {}).get("info") if isinstance(answer, dict) else None
        raise FileFormatError(
            f"Commons was asked for pictures; {told or f'its answer has no {error}'}. Try again later"
        ) from error
    return found


def _picture(info: dict[str, Any]) -> Picture:
    told = {name: _plain(str(entry["value"])) for name, entry in info.get("extmetadata", {}).items()}
    licence = told.get("LicenseShortName") or told.get("UsageTerms") or "not stated"
    if address := told.get("LicenseUrl"):
        licence = f"{licence} ({address})"
    by = [told[name] for name in ("Artist", "Credit") if told.get(name)]
    attribution = told.get("Attribution") or ", ".join([*by, "via Wikimedia Commons"])
    public = told.get("License", "").lower().startswith(PUBLIC_MARKS) or told.get("Copyrighted") == "False"
    return Picture(info.get("thumburl") or info["url"], info["descriptionurl"], licence, attribution[:LONGEST], public)


class _Text(HTMLParser):
    """Collects the text between tags, without styles."""

    def __init__(self) -> None:
        super().__init__()
        self.parts: list[str] = []
        self.hidden = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.hidden += tag in {"style", "script"}
        self.parts.append(" " if tag in {"br", "p", "div", "li", "td", "tr"} else "")

    def handle_endtag(self, tag: str) -> None:
        self.hidden -= tag in {"style", "script"}

    def handle_data(self, data: str) -> None:
        if not self.hidden:
            self.parts.append(data)


def _plain(html: str) -> str:
    """Text of a piece of HTML, in one line."""
    reader = _Text()
    reader.feed(html)
    reader.close()
    return " ".join("".join(reader.parts).split())


def _last(address: str) -> str:
    return urlsplit(address).path.rsplit("/", 1)[-1]
