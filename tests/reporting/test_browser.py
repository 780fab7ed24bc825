"""The page as a browser sees it: chromium opens it without a network."""

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.reporting import report, sections
from pipeline.reporting.record import RunRecord

webdriver = pytest.importorskip("selenium.webdriver")
pytestmark = pytest.mark.browser

FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--force-prefers-reduced-motion",
)  # fmt: skip
WATCH = """
window.seen = [];
addEventListener("securitypolicyviolation", (event) => seen.push(`policy: ${event.violatedDirective}`));
addEventListener("error", (event) => seen.push(`error: ${event.message}`), true);
"""
"""Runs before anything of the page does."""


@pytest.fixture(scope="module")
def driver(tmp_path_factory) -> Iterator["webdriver.Chrome"]:
    chromium, chromedriver = shutil.which("chromium"), shutil.which("chromedriver")
    if not chromium or not chromedriver:
        if os.environ.get("CI"):
            pytest.fail("chromium and chromedriver are missing: apt-get install chromium chromium-driver")
        pytest.skip("needs chromium and chromedriver (apt-get install chromium chromium-driver)")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('chromium')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
    browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(chromedriver))
    browser.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": WATCH})
    yield browser
    browser.quit()


@pytest.fixture
def opened(driver, record, tmp_path):
    """Open a record's page (by default the whole run's) at a width, in light or dark."""

    def show(shown: RunRecord = record, *, width: int = 1280, scheme: str = "light") -> Path:
        path = report.write(shown, tmp_path / "report.html")
        media = [{"name": "prefers-color-scheme", "value": scheme}]
        screen = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": media})
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
        for log in ("performance", "browser"):
            driver.get_log(log)
        driver.get(path.as_uri())
        return path

    return show


def requests(driver) -> set[str]:
    """Addresses that the page asked for since it was opened, without those that it carries itself."""
    messages = (json.loads(entry["message"])["message"] for entry in driver.get_log("performance"))
    asked = {
        message["params"]["request"]["url"] for message in messages if message["method"] == "Network.requestWillBeSent"
    }
    return {address for address in asked if not address.startswith("data:")}


def test_the_browser_log_would_show_a_request_and_an_error(driver, tmp_path):
    """The instruments of the tests below, held to a page that does everything wrong."""
    page = tmp_path / "bad.html"
    page.write_text("<script>fetch('http://127.0.0.1:9/x').catch(() => 0); missing()</script>", "utf-8")
    driver.get_log("performance")
    driver.get(page.as_uri())
    driver.execute_async_script("setTimeout(arguments[0], 200)")
    assert "http://127.0.0.1:9/x" in requests(driver)
    assert any("missing" in problem for problem in driver.execute_script("return seen"))


@pytest.mark.parametrize("which", ["record", "hostile"])
def test_the_page_asks_nobody_breaks_nothing_and_runs_no_text(which, opened, driver, request):
    path = opened(request.getfixturevalue(which))
    driver.execute_async_script("setTimeout(arguments[0], 200)")
    assert requests(driver) == {path.as_uri()}
    assert driver.execute_script("return performance.getEntriesByType('resource').map((entry) => entry.name)") == []
    assert driver.execute_script("return seen") == []
    assert driver.get_log("browser") == []
    assert driver.execute_script("return typeof window.hacked") == "undefined"


def test_every_section_is_there_and_every_picture_is_drawn_and_named(opened, driver):
    opened()
    shown = driver.execute_script("return [...document.querySelectorAll('main section')].map((one) => one.id)")
    assert shown == [section.name for section in sections.SECTIONS]
    images = driver.execute_script("return [...document.images].map((one) => [one.alt, one.naturalWidth])")
    assert len(images) > 80
    assert all(alt and width for alt, width in images)
    assert driver.execute_script("return document.querySelectorAll('svg.chart').length") == 8


@pytest.mark.parametrize("which", ["record", "hostile"])
@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_sticks_out_sideways(which, width, opened, driver, request):
    opened(request.getfixturevalue(which), width=width)
    assert driver.execute_script("return document.documentElement.scrollWidth <= innerWidth")


def test_hostile_captions_are_read_as_they_were_written(opened, driver, hostile):
    opened(hostile)
    finals = driver.execute_script(
        "return [...document.querySelectorAll('#caption-rows td:nth-child(3)')].map((one) => one.textContent)"
    )
    written = [row.final.encode("utf-8", "backslashreplace").decode() for row in hostile.captions]
    assert sorted(text.strip() for text in finals) == sorted(written)


CONTRAST = """
const luminance = (color) => {
  const [r, g, b] = color.match(/[\\d.]+/g).map(Number).map((value) => value / 255)
    .map((value) => value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const ground = (element) => {
  for (let at = element; at; at = at.parentElement) {
    const color = getComputedStyle(at).backgroundColor;
    if (!/, 0\\)$/.test(color)) return color;
  }
};
const written = [...document.querySelectorAll("main *")].filter(
  (one) => !one.closest("svg") && [...one.childNodes].some((node) => node.nodeType === 3 && node.data.trim()));
return written.map((one) => {
  const [a, b] = [luminance(getComputedStyle(one).color), luminance(ground(one))].sort((x, y) => y - x);
  return [(a + 0.05) / (b + 0.05), one.tagName + "." + one.className];
}).sort((x, y) => x[0] - y[0])[0];
"""
"""The lowest contrast between a text and its ground, after WCAG 2.2."""


@pytest.mark.parametrize(("scheme", "dark"), [("light", False), ("dark", True)])
def test_light_and_dark_are_readable(scheme, dark, opened, driver):
    opened(scheme=scheme)
    red = driver.execute_script("return Number(getComputedStyle(document.body).backgroundColor.match(/\\d+/)[0])")
    assert (red < 60) is dark
    contrast, where = driver.execute_script(CONTRAST)
    assert contrast >= 4.5, where


def test_a_picture_is_enlarged_by_keyboard_and_closed_again(opened, driver):
    opened()
    image = driver.find_element("css selector", "img.zoom")
    driver.execute_script("arguments[0].focus()", image)
    image.send_keys("\ue007")
    dialog = driver.find_element("css selector", "dialog")
    assert dialog.is_displayed()
    assert dialog.find_element("css selector", "img").get_attribute("alt") == image.get_attribute("alt")
    dialog.find_element("css selector", "button").send_keys("\ue00c")
    assert not dialog.is_displayed()


def test_the_filter_shows_the_captions_that_hold_a_word(opened, driver, record):
    opened()
    driver.find_element("css selector", "input[type=search]").send_keys("RING")
    rows = driver.find_elements("css selector", "#caption-rows tr")
    shown = [row for row in rows if row.is_displayed()]
    wanted = [row for row in record.captions if "ring" in f"{row.machine} {row.reviewed} {row.final}"]
    assert 0 < len(shown) == len(wanted) < len(rows)


def test_on_paper_nothing_is_cut_off(opened, driver):
    opened()
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    boxes = "[...document.querySelectorAll('.scroll.tall, pre')]"
    cut = driver.execute_script(f"return {boxes}.filter((one) => one.scrollHeight > one.clientHeight + 1).length")
    assert cut == 0
    assert not driver.find_element("css selector", "nav").is_displayed()
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
