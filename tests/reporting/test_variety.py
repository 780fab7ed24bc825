from pipeline.reporting import variety


def test_the_page_shows_viewpoints_and_odd_ones_and_no_text_becomes_markup(tmp_path):
    record = variety.Record(
        "toys <b>",
        "run-1",
        ["12 pictures <i>", "add some"],
        [variety.Group("Viewpoint 1", 9, [("a/1.png", "x", "")])],
        [("a/<u>.png", "y", "4.2 deviations off")],
        {},
    )
    page = variety.write(record, tmp_path / "variety.html").read_text()
    assert "toys &lt;b&gt;" in page
    assert "12 pictures &lt;i&gt;" in page
    assert "9 pictures" in page
    assert "Unlike the rest" in page
    assert "4.2 deviations off" in page
    assert "http" not in page.replace("http-equiv", "")
    assert page.count("no picture") == 2
