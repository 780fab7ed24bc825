import base64
import hashlib
import json
import os
import re
import time
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.reporting import report
from pipeline.reporting.pictures import thumbnail
from pipeline.reporting.record import CaptionRow, Evaluation, LedgerRow, RunRecord, Sample

LIMIT = 15_000_000
"""Bytes that a report may take."""


class Page(HTMLParser):
    """What a browser would see: tags, attributes and texts."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def test_the_page_and_its_facts_appear_side_by_side(record, tmp_path):
    path = report.write(record, tmp_path / "new" / "report.html")
    assert path == tmp_path / "new" / "report.html"
    assert sorted(entry.name for entry in path.parent.iterdir()) == ["report.html", "report.json"]
    assert json.loads(path.with_suffix(".json").read_text("utf-8"))["run_id"] == record.run_id
    assert "Kept 31 of 47 files" in path.read_text("utf-8")


def test_the_same_record_gives_the_same_page(record):
    assert report.html(record) == report.html(record)


def test_a_bare_run_has_a_page(record):
    bare = RunRecord(run_id="r", name="n", started=record.started, finished=record.finished, command="gesso run n.yaml")
    page = Page(report.html(bare))
    assert [section["id"] for section in page.all("section")] == ["repeat"]


def test_nothing_is_asked_of_anyone(record):
    page = Page(report.html(record))
    addresses = [
        value for _, attributes in page.tags for name, value in attributes.items() if name in ("src", "href", "action")
    ]
    assert addresses
    assert all(address.startswith(("data:", "#")) for address in addresses)
    assert not re.search(r"@import|url\(", report.html(record))
    assert not {"iframe", "object", "embed", "form", "base"} & {tag for tag, _ in page.tags}


def test_the_policy_names_exactly_the_style_and_the_script_of_the_page(record):
    source = report.html(record)
    policy = next(meta["content"] for meta in Page(source).all("meta") if "http-equiv" in meta)
    assert policy.startswith("default-src 'none'; img-src data:;")
    assert "unsafe" not in policy
    for tag in ("style", "script"):
        (inline,) = re.findall(f"<{tag}>(.*?)</{tag}>", source, re.S)
        digest = base64.b64encode(hashlib.sha256(inline.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy
    assert not any("style" in attributes for _, attributes in Page(source).tags)


def test_every_picture_has_words_and_every_table_a_caption(record):
    page = Page(report.html(record))
    assert len(page.all("img")) > 80
    assert all(image.get("alt") for image in page.all("img"))
    assert len(page.all("table")) == len(page.all("caption")) > 0
    assert all("scope" in header for header in page.all("th"))


def test_links_of_the_navigation_lead_somewhere(record):
    page = Page(report.html(record))
    ids = {attributes["id"] for _, attributes in page.tags if "id" in attributes}
    assert {link["href"][1:] for link in page.all("a")} <= ids
    assert len(ids) == sum("id" in attributes for _, attributes in page.tags)


def skeleton(page: Page) -> list[tuple[str, tuple[str, ...]]]:
    """Tags and the names of their attributes: what no text may change."""
    return [(tag, tuple(attributes)) for tag, attributes in page.tags]


def test_hostile_texts_change_no_tag(hostile, tmp_path):
    names = {attribute for _, attributes in skeleton(Page(report.html(hostile))) for attribute in attributes}
    assert not {name for name in names if name.startswith("on") or name in ("autofocus", "srcdoc")}
    tags = {tag for tag, _ in Page(report.html(hostile)).tags}
    assert not tags & {"iframe", "b"}
    assert len(Page(report.html(hostile)).all("script")) == 1
    path = report.write(hostile, tmp_path / "report.html")
    assert "not utf-8: \\udcff" in path.read_text("utf-8")


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(st.sampled_from("<>\"'&/!-= {}%#ab\u2028\u202e\x00"), min_size=1, max_size=40))
def test_no_text_changes_the_page_around_it(record, text):
    small = replace(record, thumbnails={}, views=(), evaluations=(), resemblances=(), ledger=record.ledger[:1])
    rows = [CaptionRow("s", origin, origin, None, origin, origin, (origin,)) for origin in (text, "plain")]
    attacked, plain = (
        Page(report.html(replace(small, captions=[row], name=row.origin, command=row.origin, recipe_yaml=row.origin)))
        for row in rows
    )
    assert skeleton(attacked) == skeleton(plain)


def test_a_failed_write_leaves_the_old_page_and_no_rest(record, tmp_path, monkeypatch):
    path = tmp_path / "report.html"
    path.write_text("old", "utf-8")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="space"):
        report.write(record, path)
    assert path.read_text("utf-8") == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["report.html"]


def test_a_page_of_five_hundred_thumbnails_takes_less_than_two_seconds(record, tmp_path):
    rng = np.random.default_rng(0)
    encoded = [thumbnail(rng.integers(0, 256, (112, 112, 3), dtype=np.uint8)) for _ in range(20)]
    rows = [LedgerRow(f"{at}.png", str(at), "rejected", "select", f"rule {at % 25}", at, 0) for at in range(600)]
    many = replace(record, ledger=rows, thumbnails={str(at): encoded[at % 20] for at in range(600)}, captions=())
    started = time.perf_counter()
    path = report.write(many, tmp_path / "report.html")
    assert time.perf_counter() - started < 2
    assert len(Page(path.read_text("utf-8")).all("img")) > 500


def test_a_huge_run_stays_within_the_budget(record, tmp_path):
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (512, 512, 3), dtype=np.uint8)
    big = thumbnail(noise, longest=512, quality=95)
    rows = [LedgerRow(f"{at}.png", "big", "rejected", "select", f"rule {at % 40}", at, 0) for at in range(5000)]
    captions = [CaptionRow("big", "x.png", "word " * 20_000, None, "word " * 20_000, "blip")] * 300
    samples = [Sample("noise", seed, noise) for seed in range(16)]
    huge = replace(
        record,
        ledger=rows,
        thumbnails={"big": big},
        captions=captions,
        evaluations=[Evaluation(step, samples) for step in (0, 1)],
    )
    path = report.write(huge, tmp_path / "report.html")
    assert path.stat().st_size < LIMIT
    assert "left out to keep the file small" in path.read_text("utf-8")
