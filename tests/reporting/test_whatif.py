from pipeline.reporting import whatif


def record(**changes):
    lost = [whatif.Moved(f"a/{number}<i>.png", f"id{number}", "too low 0.1") for number in range(3)]
    given = {
        "name": "toys <b>",
        "run_id": "run-1",
        "changes": ["sharpness__score.min=0.3"],
        "counts": [("kept", 7, 4), ("rejected", 1, 4)],
        "gained": [],
        "lost": lost,
        "thumbnails": {},
        "most": 2,
    }
    return whatif.Record(**(given | changes))


def test_the_page_counts_and_shows_and_no_text_becomes_markup(tmp_path):
    page = whatif.write(record(), tmp_path / "what-if.html").read_text()
    assert "toys &lt;b&gt;" in page
    assert "0&lt;i&gt;.png" in page
    assert "3 files would leave" in page
    assert "http" not in page.replace("http-equiv", "")
    assert page.count("no picture") == 2
    assert 'id="gained"' not in page


def test_what_is_gained_has_its_reason_of_now(tmp_path):
    page = whatif.html(record(gained=[whatif.Moved("b.png", "x", "too dark")], lost=[]))
    assert "1 file would stay that leaves now" in page
    assert "too dark" in page
