"""Pictures of paintings from a local server that answers as Wikidata, Commons and their image store do."""

import csv
import hashlib
import io
import json
import threading
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest
from PIL import Image

from velatura.base.errors import InputError
from velatura.chain.paintings import Services, Wanted, bring_paintings, checked, gather_paintings, in_turn
from velatura.io.downloads import Manners, Visitor, user_agent
from velatura.io.wikidata import Painting
from velatura.scene.seed_images import read_seed, seed_images

TODAY = date(2026, 11, 20)


def picture(seed: int, *, size: tuple[int, int] = (160, 200), colours: bool = True) -> bytes:
    values = np.random.default_rng(seed).integers(0, 256, (8, 10, 3 if colours else 1), np.uint8)
    image = Image.fromarray(np.broadcast_to(values, (8, 10, 3)).copy()).resize(size[::-1], Image.Resampling.BICUBIC)
    stream = io.BytesIO()
    image.save(stream, "JPEG")
    return stream.getvalue()


class World:
    """Works of five painters a span of deaths, two each; what each address answers, and what was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.agents: set[str] = set()
        self.special: dict[str, list] = {}  # part of an address: answers to give first, (status, headers, body)
        self.pictures: dict[str, bytes] = {}
        self.licences: dict[str, str] = {}

    def answer(self, path: str) -> tuple[int, dict[str, str], bytes]:
        self.asked.append(path)
        for part, answers in self.special.items():
            if part in path and answers:
                return answers.pop(0)
        parameters = {name: values[0] for name, values in parse_qs(urlsplit(path).query).items()}
        if path.startswith("/sparql"):
            return 200, {}, json.dumps(self.rows(parameters["query"])).encode()
        if path.startswith("/api"):
            return 200, {}, json.dumps(self.pages(parameters["titles"].split("|"))).encode()
        name = path.rsplit("/", 1)[-1]
        content = self.pictures.get(name, picture(int(name[1:-4])))
        return 200, {"Content-Type": "image/jpeg"}, content

    def rows(self, query: str) -> dict:
        assert query.count("{") == query.count("}")
        if "wd:Q134194" in query:
            return {"head": {"vars": []}, "results": {"bindings": []}}
        first = int(query.split('?died >= "')[1][:4])
        entity = "http://www.wikidata.org/entity/"
        uri, literal = {"type": "uri"}, {"type": "literal", "xml:lang": "en"}
        stamp = {"datatype": "http://www.w3.org/2001/XMLSchema#dateTime", "type": "literal"}
        found = []
        for artist in range(5):
            for work in range(2):
                number = 1000 * first + 10 * artist + work
                where = f"http://commons.wikimedia.org/wiki/Special:FilePath/Q{number}.jpg"
                found.append({
                    "painting": {**uri, "value": f"{entity}Q{number}"},
                    "image": {**uri, "value": where},
                    "artist": {**uri, "value": f"{entity}Q{first}{artist}"},
                    "died": {**stamp, "value": f"{first}-05-02T00:00:00Z"},
                    "title": {**literal, "value": f"Work, {work}"},
                    "name": {**literal, "value": f"Painter {first} {artist}"},
                })  # fmt: skip
        return {"head": {"vars": list(found[0])}, "results": {"bindings": found}}

    def pages(self, titles: list[str]) -> dict:
        def page(title: str) -> dict:
            name = title.removeprefix("File:")
            code = self.licences.get(name, "pd")
            told = {
                "Artist": '<a href="//www.wikidata.org/wiki/Q1">A <b>Painter</b></a>',
                "Credit": "A museum &amp; its photographer",
                "LicenseShortName": "Public domain" if code == "pd" else "CC BY-SA 4.0",
                "License": code,
                "Copyrighted": "False" if code == "pd" else "True",
            }
            extra = {name: {"value": value, "source": "commons-desc-page"} for name, value in told.items()}
            info = {
                "thumburl": f"{self.address}/images/{name}",
                "url": f"{self.address}/originals/{name}",
                "descriptionurl": f"https://commons.wikimedia.org/wiki/File:{name}",
                "extmetadata": extra,
            }
            return {"ns": 6, "title": title, "imageinfo": [info]}

        return {"batchcomplete": True, "query": {"pages": [page(title) for title in titles]}}

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def count(self, part: str) -> int:
        return sum(part in path for path in self.asked)


@pytest.fixture
def world():
    made = World()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            made.agents.add(self.headers["User-Agent"])
            status, headers, body = made.answer(self.path)
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield made
    server.shutdown()
    server.server_close()
    thread.join()


def gather(folder: Path, world: World, *, waits: list | None = None, progress=lambda *_: None, **wanted):
    visitor = Visitor(
        user_agent("someone@example.org"), manners=Manners(pause=0), sleep=(waits if waits is not None else []).append
    )
    services = Services(f"{world.address}/sparql", f"{world.address}/api")
    return gather_paintings(folder, Wanted(**wanted), visitor, services=services, today=TODAY, progress=progress)


def rows_of(folder: Path) -> list[dict[str, str]]:
    with (folder / "paintings.csv").open(newline="", encoding="utf-8") as opened:
        return list(csv.DictReader(opened))


def test_pictures_come_with_all_that_is_known_of_them(world: World, tmp_path: Path) -> None:
    steps = []
    found = gather(tmp_path, world, number=30, each=2, progress=lambda *step: steps.append(step))
    rows = rows_of(tmp_path)
    assert found.pictures == len(rows) == 30
    assert found.painters == len({row["artist"] for row in rows}) >= 25
    for row in rows:
        assert hashlib.sha256((tmp_path / row["file"]).read_bytes()).hexdigest() == row["sha256"]
        assert row["licence"] == "Public domain"
        assert row["attribution"] == "A Painter, A museum & its photographer, via Wikimedia Commons"
        assert row["source"] == f"https://commons.wikimedia.org/wiki/File:{row['file']}"
        assert int(row["artist_died"]) < TODAY.year - 100
    splits = {}
    for row in rows:
        splits.setdefault(row["artist"], set()).add(row["split"])
    assert max(map(len, splits.values())) == 1
    assert {image.name: image.split for image in seed_images(tmp_path)} == {row["file"]: row["split"] for row in rows}
    assert read_seed(tmp_path / rows[0]["file"], 64).shape == (64, 64, 3)
    assert steps[-1] == ("pictures", 30, 30)
    assert world.agents == {user_agent("someone@example.org")}
    assert all("someone@example.org" in agent and agent.startswith("Velatura/") for agent in world.agents)


def test_a_killed_run_goes_on_without_asking_again(world: World, tmp_path: Path) -> None:
    def kill(stage: str, done: int, total: int) -> None:
        if (stage, done) == ("pictures", 7):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        gather(tmp_path, world, number=20, progress=kill)
    assert len(rows_of(tmp_path)) == 7
    queries, before = world.count("/sparql"), world.count("/images/")
    assert before == 7
    gather(tmp_path, world, number=20)
    assert world.count("/sparql") == queries
    fetched = [path for path in world.asked if "/images/" in path]
    assert len(fetched) == len(set(fetched)) == 20
    world.asked.clear()
    assert gather(tmp_path, world, number=20).pictures == 20
    assert not world.asked
    whole = tmp_path / "whole"
    gather(whole, world, number=20)
    assert (whole / "paintings.csv").read_bytes() == (tmp_path / "paintings.csv").read_bytes()


def test_unusable_pictures_are_left_out_with_the_reason(world: World, tmp_path: Path) -> None:
    whole = gather(tmp_path / "whole", world, number=6)
    bad = [row["file"] for row in rows_of(whole.table.parent)]
    world.pictures |= {bad[0]: b"<html>", bad[1]: picture(1, size=(90, 300)), bad[2]: picture(2, colours=False)}
    world.licences[bad[3]] = "cc-by-sa-4.0"
    world.special[f"/images/{bad[4]}"] = [(404, {}, b"")]
    found = gather(tmp_path / "other", world, number=6)
    with (tmp_path / "other" / "left-out.csv").open(newline="") as opened:
        reasons = {row["item"] + ".jpg": row["reason"] for row in csv.DictReader(opened)}
    assert found.pictures == 6
    assert list(reasons) == bad[:5]
    for name, reason in zip(
        bad, ["cannot be decoded", "too small: 90", "without colour", "CC BY-SA", "404"], strict=False
    ):
        assert reason in reasons[name]
    world.asked.clear()
    free = gather(tmp_path / "other", world, number=7, licence="free")
    assert free.left_out == 4
    assert world.count(f"/images/{bad[3]}") == 1


def test_servers_are_waited_for(world: World, tmp_path: Path) -> None:
    lag = b'{"error":{"code":"maxlag","info":"Waiting for db1: 7 seconds lagged"}}'
    world.special = {
        "/sparql": [(429, {"Retry-After": "17"}, b"")],
        "/api": [(200, {"Retry-After": "5"}, lag)],
        "/images/": [(503, {}, b""), (502, {}, b"")],
    }
    waits: list[float] = []
    assert gather(tmp_path, world, waits=waits, number=2).pictures == 2
    assert waits == [17, 5, 5, 10]


def test_who_asks_to_be_left_alone_is(world: World, tmp_path: Path) -> None:
    world.special["/sparql"] = [(429, {"Retry-After": "86400"}, b"")]
    waits: list[float] = []
    with pytest.raises(InputError, match=r"left alone for 86400 s\. Try again later"):
        gather(tmp_path, world, waits=waits, number=2)
    assert not waits
    assert len(world.asked) == 1
    world.special["/sparql"] = [(403, {}, b"")]
    with pytest.raises(InputError, match=r"403 Forbidden\. Say whom to write to"):
        gather(tmp_path, world, number=2)


def test_a_query_that_takes_too_long_is_made_smaller(world: World, tmp_path: Path) -> None:
    world.special["1650-"] = [(500, {}, b"java.util.concurrent.TimeoutException")] * 2
    gather(tmp_path, world, number=2)
    limits = [parse_qs(urlsplit(path).query)["query"][0].split("LIMIT ")[1].split()[0] for path in world.asked[:22]]
    repeated = [int(limit) for limit in limits if limits.count(limit) < 10]
    assert max(limits, key=limits.count) == "100"
    assert repeated == [25]


def test_a_server_out_of_order_ends_the_run(world: World, tmp_path: Path) -> None:
    world.special["/images/"] = [(500, {}, b"")] * 100
    with pytest.raises(InputError, match="answers 500"):
        gather(tmp_path, world, number=5)
    assert world.count("/images/") == 9


def test_pictures_that_are_gone_are_no_failures_of_the_server(world: World, tmp_path: Path) -> None:
    world.special["/images/"] = [(404, {}, b"")] * 2 + [(500, {}, b"")] * 3
    assert gather(tmp_path, world, number=2).left_out == 3
    gone = [(404, {}, b"")]
    world.special["/images/"] = ([(500, {}, b"")] * 3) * 2 + gone + [(500, {}, b"")] * 100
    with pytest.raises(InputError, match="answers 500"):
        gather(tmp_path / "other", world, number=5)


def test_offline_is_said_at_once(tmp_path: Path) -> None:
    waits: list[float] = []
    visitor = Visitor(user_agent(), manners=Manners(pause=0), sleep=waits.append)
    with pytest.raises(InputError, match=r"127\.0\.0\.1:9 cannot be reached: .*Check the network"):
        gather_paintings(tmp_path / "new", Wanted(), visitor, services=Services("http://127.0.0.1:9/s", ""))
    assert not waits
    assert not (tmp_path / "new").exists()


def test_order_is_varied_from_the_start() -> None:
    def painting(artist: int, work: int) -> Painting:
        return Painting(f"Q{artist}0{work}", "x.jpg", "t", f"n{artist}", f"Q{artist}", 1700)

    early = [painting(1, work) for work in range(9)]
    late = [painting(artist, work) for artist in (2, 3) for work in range(9)]
    mixed = in_turn([early, late], each=4)
    assert len(mixed) == 12
    assert {one.artist_item for one in mixed[:4]} == {"Q1", "Q2", "Q3"}
    assert mixed == in_turn([early[::-1], late[::-1]], each=4)
    assert len(in_turn([early, early], each=9)) == 9


def test_own_pictures(tmp_path: Path) -> None:
    source = tmp_path / "mine"
    (source / "Rembrandt").mkdir(parents=True)
    for number in range(3):
        (source / "Rembrandt" / f"{number}.jpg").write_bytes(picture(number))
    (source / "loose.jpg").write_bytes(picture(7))
    (source / "broken.png").write_bytes(b"no")
    found = bring_paintings(tmp_path / "out", source)
    assert found[1:] == (4, 2, 1)
    assert found == bring_paintings(tmp_path / "out", source)
    rows = rows_of(tmp_path / "out")
    assert len({row["split"] for row in rows if row["artist"] == "Rembrandt"}) == 1
    assert len(seed_images(tmp_path / "out")) == 4
    with pytest.raises(InputError, match="another folder with pictures"):
        bring_paintings(source, source)


def test_own_pictures_beside_what_was_made_of_them(tmp_path: Path) -> None:
    """A folder within the pictures' own is not taken for more of them; a folder may be named like a picture."""
    (tmp_path / "not a picture.jpg").mkdir()
    (tmp_path / "mine.jpg").write_bytes(picture(1))
    found = bring_paintings(tmp_path / "made" / "here", tmp_path)
    assert found == bring_paintings(tmp_path / "made" / "here", tmp_path)
    assert found.pictures == 1
    assert bring_paintings(tmp_path, tmp_path / "made").pictures == 1


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"number": 0}, "1 or more"),
        ({"licence": "publicdomain"}, 'did you mean "public-domain"'),
        ({"width": 64}, "64"),
    ],
)
def test_wishes_that_cannot_be(wrong: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Wanted(**wrong)


def test_another_list_is_not_overwritten(world: World, tmp_path: Path) -> None:
    (tmp_path / "paintings.csv").write_text("file,split\nx.jpg,train\n")
    with pytest.raises(InputError, match="list of another collection"):
        gather(tmp_path, world, number=2)
    assert not world.asked


def test_checked_names_the_format() -> None:
    stream = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (130, 140, 3), np.uint8)).save(stream, "PNG")
    assert checked(stream.getvalue()) == (".png", "")
    assert checked(picture(1)) == (".jpg", "")
    colours, stream = Image.open(io.BytesIO(picture(1))), io.BytesIO()
    colours.save(stream, "MPO", save_all=True, append_images=[colours])  # a JPEG with a preview, as cameras write it
    assert checked(stream.getvalue()) == (".jpg", "")


def test_what_an_outage_took_is_tried_again(world: World, tmp_path: Path) -> None:
    names = [row["file"] for row in rows_of(gather(tmp_path / "whole", world, number=4).table.parent)]
    world.special = {f"/images/{names[0]}": [(404, {}, b"")], f"/images/{names[1]}": [(503, {}, b"")] * 3}
    lost = gather(tmp_path / "other", world, number=2)
    assert lost.left_out == 2
    world.asked.clear()
    found = gather(tmp_path / "other", world, number=3)
    assert {row["file"] for row in rows_of(tmp_path / "other")} == {*names[1:]}
    assert found.left_out == 1
    assert "503" not in (tmp_path / "other" / "left-out.csv").read_text()
    assert not world.count(names[0])


def test_free_pictures_leave_a_folder_of_the_public_domain(world: World, tmp_path: Path) -> None:
    names = [row["file"] for row in rows_of(gather(tmp_path / "whole", world, number=4).table.parent)]
    world.licences[names[1]] = "cc-by-sa-4.0"
    gather(tmp_path / "other", world, number=3, licence="free")
    assert names[1] in {row["file"] for row in rows_of(tmp_path / "other")}
    found = gather(tmp_path / "other", world, number=3)
    assert {row["licence"] for row in rows_of(tmp_path / "other")} == {"Public domain"}
    assert found.pictures == 3
    assert not (tmp_path / "other" / names[1]).exists()
    assert "not in the public domain" in (tmp_path / "other" / "left-out.csv").read_text()
    world.asked.clear()
    gather(tmp_path / "other", world, number=3)
    assert not world.asked
    gather(tmp_path / "other", world, number=4, licence="free")
    assert names[1] in {row["file"] for row in rows_of(tmp_path / "other")}


def test_the_list_is_there_when_nothing_is_kept(world: World, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "broken.png").write_bytes(b"no")
    found = bring_paintings(tmp_path / "out", tmp_path / "mine")
    assert found.table.is_file()
    assert not rows_of(tmp_path / "out")
    assert found == bring_paintings(tmp_path / "out", tmp_path / "mine")


def test_one_picture_under_two_painters_is_kept_once(world: World, tmp_path: Path) -> None:
    """Painters share out the splits: a picture of both could be trained on and tested with."""
    names = [row["file"] for row in rows_of(gather(tmp_path / "whole", world, number=2).table.parent)]
    world.pictures[names[1]] = picture(int(names[0][1:-4]))
    found = gather(tmp_path / "other", world, number=2)
    sums = [row["sha256"] for row in rows_of(tmp_path / "other")]
    assert len(set(sums)) == len(sums) == found.pictures == 2
    assert f"is the same picture as {names[0][:-4]}" in (tmp_path / "other" / "left-out.csv").read_text()
