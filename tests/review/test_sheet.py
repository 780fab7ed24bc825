"""The page without a server: what it holds, and, in a real browser, that its patch file is what was meant."""

import io
import json
import os
import re
import shutil
import time
from dataclasses import replace

import pytest
from PIL import Image

from pipeline.review import journal, sheet, table
from pipeline.review.apply import Applying, changes
from pipeline.review.rows import Proposal, review_rows

HOSTILE = "</script><script>window.hacked=1</script> <img src=x onerror='window.hacked=1'>"
BODIES = ["a cat on a sofa", HOSTILE, "=1+1", "'tis a dog", 'line one\nline two, "quoted"', "Łódź, 灰色の猫"]


def rows(bodies=BODIES):
    made = [
        Proposal(
            sample_id=f"{n:016x}{n:048x}", pixel_id=f"p{n}", origin=f"holiday/{n:05}.jpg", split="train", body=body,
            source="blip", candidates=("a lynx", "a puma"),
        )
        for n, body in enumerate(bodies)
    ]  # fmt: skip
    return review_rows(made, {})


def jpeg():
    buffer = io.BytesIO()
    Image.new("RGB", (600, 400), "teal").save(buffer, "JPEG")
    return buffer.getvalue()


def written(tmp_path, some):
    path = tmp_path / "to go.html"
    table.export(some, path, thumbnails={row.sample_id: jpeg() for row in some}, reviewer="anna")
    return path


def test_one_file_and_its_pictures_and_no_text_ends_its_script(tmp_path):
    path = written(tmp_path, rows())
    page = path.read_text(encoding="utf-8")
    assert page.count("<script") == page.count("</script>") == 2
    told = json.loads(re.search(r'id="data">(.*?)</script>', page, re.DOTALL)[1])
    assert [one["caption"] for one in told["rows"]] == BODIES
    assert [one["base"][:14] for one in told["rows"]] == [row.version for row in rows()]
    assert all((tmp_path / one["picture"]).exists() for one in told["rows"])
    assert "http" not in page.replace("http-equiv", "")
    assert sorted(one.name for one in tmp_path.iterdir()) == ["to go.html", "to go_thumbnails"]


def test_sheets_of_other_versions_keep_their_work_apart(tmp_path):
    names = set()
    for bodies in (BODIES, ["another", *BODIES[1:]]):
        sheet.write(rows(bodies), tmp_path / "r.html", pictures={})
        names.add(re.search(r'"name": "(\w+)"', (tmp_path / "r.html").read_text(encoding="utf-8"))[1])
    assert len(names) == 2


@pytest.fixture(scope="module")
def downloads(tmp_path_factory):
    return tmp_path_factory.mktemp("downloads")


@pytest.fixture(scope="module")
def browser(tmp_path_factory, downloads):
    webdriver = pytest.importorskip("selenium.webdriver")
    chromium, chromedriver = shutil.which("chromium"), shutil.which("chromedriver")
    if not chromium or not chromedriver:
        if os.environ.get("CI"):
            pytest.fail("chromium and chromedriver are missing: apt-get install chromium chromium-driver")
        pytest.skip("needs chromium and chromedriver (apt-get install chromium chromium-driver)")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in (
        "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--window-size=1200,800",
        f"--user-data-dir={tmp_path_factory.mktemp('chromium')}",
    ):  # fmt: skip
        options.add_argument(flag)
    options.set_capability("unhandledPromptBehavior", "accept")
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(chromedriver))
    driver.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(downloads)})
    watch = "window.seen = []; addEventListener('error', (event) => seen.push(event.message), true);"
    watch += "addEventListener('securitypolicyviolation', (event) => seen.push(event.violatedDirective));"
    driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": watch})
    yield driver
    driver.quit()


def until(holds, seconds=15.0):
    end = time.monotonic() + seconds
    while not (found := holds()):
        assert time.monotonic() < end, "it never came so far"
        time.sleep(0.02)
    return found


@pytest.mark.browser
def test_by_keyboard_to_a_patch_file_that_says_what_was_meant(browser, downloads, tmp_path):
    from selenium.webdriver.common.keys import Keys

    some = rows()
    browser.get(written(tmp_path, some).as_uri())

    def type_(*keys):
        for key in keys:
            browser.switch_to.active_element.send_keys(key)

    def there():
        return browser.execute_script("return document.activeElement.getAttribute('aria-label')")

    assert browser.execute_script("return [typeof hacked, seen]") == ["undefined", []]
    image = browser.find_element("css selector", ".row img")
    until(lambda: browser.execute_script("return arguments[0].naturalWidth", image) == 600)
    browser.execute_script("document.querySelector('.row textarea').focus()")
    type_(Keys.CONTROL + Keys.END, *" at noon", Keys.CONTROL + Keys.ENTER)
    until(lambda: there() == "Caption of holiday/00001.jpg")
    browser.switch_to.active_element.send_keys(Keys.ALT, "d")
    type_(Keys.CONTROL + Keys.ARROW_DOWN)
    until(lambda: there() == "Caption of holiday/00002.jpg")
    type_(Keys.CONTROL + Keys.HOME, "-")
    browser.switch_to.active_element.send_keys(Keys.CONTROL + Keys.ARROW_DOWN)
    until(lambda: there() == "Caption of holiday/00003.jpg")
    type_(Keys.CONTROL + Keys.END, "s", Keys.CONTROL + Keys.ARROW_DOWN)
    until(lambda: there() == "Caption of holiday/00004.jpg")
    browser.switch_to.active_element.send_keys(Keys.ALT, "1")
    assert browser.find_element("id", "count").text == "5 of 6 touched, not yet in a patch file"
    # the browser comes back: nothing is lost
    browser.refresh()
    until(lambda: browser.find_element("id", "count").text.startswith("5 of 6 touched"))
    type_(Keys.CONTROL + "s")
    patch = until(lambda: next((one for one in downloads.glob("*.csv")), None))
    until(lambda: browser.find_element("id", "count").text == "5 of 6 touched")
    until(lambda: not list(downloads.glob("*.crdownload")) and patch.stat().st_size > 0)
    assert patch.name == "to go_patch.csv"
    found = changes(some, table.read(patch).rows, journal.Journal(), Applying("me", journal.now()))
    assert {(one.row.origin[-9:-4], one.decision.caption, one.decision.verdict) for one in found.fresh} == {
        ("00000", "a cat on a sofa at noon", None),
        ("00001", None, "drop"),
        ("00002", "-=1+1", None),
        ("00003", "'tis a dogs", None),
        ("00004", "a lynx", None),
    }
    assert {one.decision.reviewer for one in found.fresh} == {"anna"}
    assert (found.conflicts, found.unchanged, found.repaired) == ((), 0, ())
    assert browser.execute_script("return [typeof hacked, seen]") == ["undefined", []]


@pytest.mark.browser
def test_what_is_cut_is_struck_out_until_the_caption_is_edited(browser, tmp_path):
    first, second, *_ = rows()
    cut = replace(first, flags=(*first.flags, "cut at 77 tokens"), unread="the <b>rest</b> of it")
    browser.get(written(tmp_path, [cut, second]).as_uri())
    until(lambda: len(browser.find_elements("css selector", ".row")) == 2)
    assert [one.text for one in browser.find_elements("css selector", ".row mark")][-1:] == ["cut at 77 tokens"]
    (told,) = [one for one in browser.find_elements("css selector", ".unread") if one.is_displayed()]
    assert told.text == "training does not read the <b>rest</b> of it"
    assert told.find_element("css selector", "del").text == "the <b>rest</b> of it"
    browser.find_element("css selector", ".row textarea").send_keys("x")
    until(lambda: not told.is_displayed())
    assert browser.execute_script("return seen") == []


@pytest.mark.browser
def test_many_pictures_and_a_search(browser, tmp_path):
    browser.get(written(tmp_path, rows([f"picture number {n} of all" for n in range(3000)])).as_uri())
    until(lambda: browser.find_elements("css selector", ".row"))
    assert len(browser.find_elements("css selector", ".row")) < 12, "only what is in view is in the page"
    browser.find_element("id", "search").send_keys("number 2999")
    (row,) = until(lambda: (got := browser.find_elements("css selector", ".row")) and len(got) == 1 and got)
    assert row.find_element("css selector", "textarea").get_attribute("value") == "picture number 2999 of all"
    browser.save_screenshot(str(tmp_path / "sheet.png"))
