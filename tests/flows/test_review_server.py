import io

import pytest
from PIL import Image
from starlette.testclient import TestClient

from flows import review_server
from pipeline.errors import InputError
from pipeline.review import journal
from pipeline.review.desk import Desk
from pipeline.review.rows import Proposal
from pipeline.steps.reading import Read

HOST = "http://127.0.0.1:8123"
HOSTILE = "<img src=x onerror=alert(1)> \ud800 \u202e"


def picture(sample_id):
    if sample_id.startswith(f"{2:016x}"):
        return b"no picture"
    buffer = io.BytesIO()
    Image.new("RGB", (2000, 1000), "red").save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def place(tmp_path):
    return tmp_path / "decisions"


@pytest.fixture
def client(place):
    from contextlib import nullcontext

    bodies = ["a cat on a red sofa", HOSTILE, "a fish in a bowl"]
    proposals = [
        Proposal(
            sample_id=f"{n:016x}{n:048x}", pixel_id=f"p{n}", origin=f"caf\udce9/{n}.jpg", split="train", body=body,
            source="blip", candidates=("a cat", body, "a lynx"),
        )
        for n, body in enumerate(bodies)
    ]  # fmt: skip
    app = review_server.app(
        Desk(proposals, place, nullcontext),
        picture,
        port=8123,
        token="secret",  # noqa: S106
        reviewer="anna",
        reading=lambda sample_id, body: Read(f"{int(sample_id, 16) % 2} {body}", 4, 90, 77),
    )
    with TestClient(app, base_url=HOST, headers={"origin": HOST}) as opened:
        yield opened


@pytest.fixture
def inside(client):
    assert client.get("/?token=secret&reviewer=bo").url == f"{HOST}/?reviewer=bo"
    return client


def ids(inside):
    return inside.get("/api/list").json()["ids"]


def wish(row, **said):
    told = {name: row[name] for name in ("id", "version", "caption")} | {"seen": row["caption"]}
    return {**told, **said}


@pytest.mark.parametrize(
    "path", ["/", "/static/page.js", "/api/list", "/small/s-0000000000000000.webp", "/?token=wrong"]
)
def test_nobody_comes_in_without_the_token(client, path):
    answer = client.get(path)
    assert answer.status_code == 403
    assert "whole address" in answer.json()["error"]


def test_the_token_is_not_in_the_address_afterwards_and_no_script_can_read_it(client):
    answer = client.get("/?token=secret", follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert "HttpOnly" in answer.headers["set-cookie"]
    assert "SameSite=strict" in answer.headers["set-cookie"]


def test_another_host_or_another_page_is_refused(inside):
    assert inside.get("/api/list", headers={"host": "evil.example:8123"}).status_code == 403
    draft = {"reviewer": "anna", "id": "s-0000000000000000", "text": "x"}
    for origin in ("http://evil.example", "null"):
        assert inside.post("/api/draft", json=draft, headers={"origin": origin}).status_code == 403
    assert inside.post("/api/draft", json=draft).json() == {"saved": True}


def test_the_page_may_run_nothing_but_its_own_files(inside):
    answer = inside.get("/")
    assert answer.headers["content-security-policy"].startswith("default-src 'none'; script-src 'self';")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "<script>" not in answer.text
    for name in review_server.FILES:
        assert inside.get(f"/static/{name}").status_code == 200
    for name in ("review_server.py", "..%2freview_server.py", "%2e%2e/review_server.py"):
        assert inside.get(f"/static/{name}").status_code == 404


def test_every_file_of_the_page_is_served():
    assert {path.name for path in review_server.PAGE.iterdir()} == review_server.FILES


def test_what_a_row_tells(inside):
    row = inside.get(f"/api/row/{ids(inside)[0]}").json()
    assert row["caption"] == row["proposed"] == "a cat on a red sofa"
    assert row["candidates"] == ["a cat", "a cat on a red sofa", "a lynx"]
    assert row["origin"] == "caf\\udce9/0.jpg"
    assert inside.get(f"/api/row/{ids(inside)[1]}").json()["caption"] == HOSTILE
    assert inside.get("/api/row/s-none").json() == {"error": "There is no such picture. Reload the page."}


def test_pictures_are_small_and_large_and_as_the_model_sees_them(inside):
    for size, side in (("small", review_server.SMALL), ("large", review_server.LARGE)):
        answer = inside.get(f"/{size}/{ids(inside)[0]}.webp")
        assert "immutable" in answer.headers["cache-control"]
        with Image.open(io.BytesIO(answer.content)) as shown:
            assert shown.size == (side, side // 2)
    assert inside.get(f"/large/{ids(inside)[2]}.webp").status_code == 404


def test_the_row_that_the_page_goes_on_to_comes_with_the_decision(inside, place):
    first, _, second = ids(inside)
    rows = [inside.get(f"/api/row/{one}").json() for one in (first, second)]
    said = {"reviewer": "anna", "wishes": [wish(rows[0], caption="Anna's cat")]}
    assert inside.post("/api/decide", json=said | {"next": second}).json()["next"] == rows[1]
    said["wishes"] = [wish(rows[1], caption="Anna's dog")]
    gone = inside.post("/api/decide", json=said | {"next": "s-none"}).json()
    assert (gone["decisions"], gone.get("next")) == (1, None)
    assert len(journal.load(place).decisions) == 2


def test_a_decision_a_conflict_and_undo(inside, place):
    row = inside.get(f"/api/row/{ids(inside)[0]}").json()
    done = inside.post(
        "/api/decide", json={"reviewer": "anna", "wishes": [wish(row, caption="Anna's cat, asleep")]}
    ).json()
    assert (done["decisions"], done["conflicts"], done["row"]["caption"]) == (1, 0, "Anna's cat, asleep")
    bo = {"reviewer": "bo", "wishes": [wish(row, caption="Bo's cat, asleep")]}
    late = inside.post("/api/decide", json=bo).json()
    assert (late["batch"], late["conflicts"], late["row"]["caption"]) == (None, 1, "Anna's cat, asleep")
    assert late["row"]["conflicts"][0][:4] == ["bo", "a cat on a red sofa", "Bo's cat, asleep", "Anna's cat, asleep"]
    progress = inside.get("/api/progress?reviewer=anna").json()
    assert (progress["total"], progress["decided"], progress["conflicts"]) == (3, 0, 1)
    assert inside.post("/api/undo", json={"reviewer": "anna", "batch": done["batch"]}).json() == {"decisions": 1}
    assert journal.load(place).decisions == ()


def test_what_cannot_be_said_is_told_in_words(inside):
    row = inside.get(f"/api/row/{ids(inside)[0]}").json()
    for body, code, words in (
        ({"reviewer": "anna", "wishes": [wish(row, caption="")]}, 400, "Was emptied. Write a caption"),
        ({"reviewer": "../anna", "wishes": [wish(row, word="keep")]}, 400, "names a file"),
        ({"reviewer": "anna", "wishes": [wish(row, word="maybe")]}, 422, "maybe"),
        ({"reviewer": "anna", "wishes": []}, 422, "too_short"),
    ):
        answer = inside.post("/api/decide", json=body)
        assert answer.status_code == code
        assert words in answer.text


def test_replacing_is_previewed_and_then_unread(inside):
    told = inside.get("/api/replace", params={"find": "a ", "by": "one ", "search": "sofa"}).json()["wishes"]
    assert [one["caption"] for one in told] == ["one cat on one red sofa"]
    done = inside.post("/api/decide", json={"reviewer": "anna", "wishes": told, "bulk": True}).json()
    assert done["decisions"] == 1
    progress = inside.get("/api/progress").json()
    assert (progress["decided"], progress["unread"]) == (0, 1)


def test_what_training_will_read(inside):
    told = inside.post("/api/reading", json={"id": ids(inside)[1], "text": "<b>cats"}).json()
    assert told == {"caption": "1 <b>cats", "characters": 4, "tokens": 90, "longest": 77}
    assert inside.post("/api/reading", json={"id": "s-no", "text": "cats"}).status_code == 400


def test_drafts_and_terms_come_with_the_page(inside):
    inside.post("/api/draft", json={"reviewer": "anna", "id": ids(inside)[0], "text": "a c"})
    told = inside.get("/api/start").json()
    assert (told["reviewer"], told["drafts"]) == ("anna", {ids(inside)[0]: "a c"})
    assert inside.get("/api/start?reviewer=bo").json()["drafts"] == {}
    assert "sofa" in inside.get("/api/terms").json()["terms"]


def test_only_this_machine_is_listened_to():
    taken, token = review_server.address()
    with taken:
        host, port = taken.getsockname()
        assert host == "127.0.0.1"
        assert len(token) >= 32
        with pytest.raises(InputError, match="cannot be had"):
            review_server.address(port)
