import pytest

from pipeline.steps import lessons

BEFORE = ("ingest", "measure", "select", "caption")


@pytest.fixture
def captioned(begun):
    return begun(caption={"captioner": "sidecar"}).go(*BEFORE)


def test_nobody_has_read_anything(captioned, begun):
    assert lessons.of_run(captioned.run) is None
    assert lessons.of_run(begun().go(*BEFORE[:3]).run) is None


def test_each_caption_is_held_against_what_its_reader_saw(captioned):
    rows = captioned.named("captions")
    captioned.decide("00.png", caption=rows["00.png"]["body"], proposed=rows["00.png"]["body"])
    captioned.decide("01.png", caption=f"{rows['01.png']['body']}, seen", proposed=rows["01.png"]["body"])
    captioned.decide("02.png", caption="a lynx", proposed="what another machine had said")
    captioned.decide("09.png", caption="a fox", proposed="")
    # neither of these was read
    captioned.decide("03.png", caption=rows["03.png"]["body"], proposed=rows["03.png"]["body"], read=False)
    captioned.decide("04.png", verdict="keep")
    told = lessons.of_run(captioned.run)
    assert (told.all.read, told.all.edited) == (4, 3)
    assert {one.name: (one.read, one.edited) for one in told.by_captioner} == {
        "sidecar": (3, 2), lessons.EARLIER: (1, 1),
    }  # fmt: skip
    assert {one.name: one.read for one in told.by_flag} == {"no caption": 1}
    assert ("seen", 1) in told.added


def test_the_report_tells_them(captioned):
    body = captioned.named("captions")["01.png"]["body"]
    captioned.decide("01.png", caption=f"{body} by night", proposed=body)
    captioned.go("review", "report")
    page = (captioned.run.folder / "report.html").read_text(encoding="utf-8")
    assert "1 caption read by people: 1 caption needed a hand (100 %)" in page
