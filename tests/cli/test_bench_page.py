"""The page of `mlpack bench --html`, in a real browser and as text."""

from __future__ import annotations

import copy
import html
import itertools
import json
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mlpack_edge.cli.bench_page import render
from tests.cli.bench_documents import NAMES, bench_document, emulated_document, estimated_document, tool_document

Json = dict[str, Any]

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
browsing = pytest.mark.skipif(
    not (CHROMIUM and DRIVER), reason="needs a browser: apt-get install chromium chromium-driver"
)
TIME = re.compile(r"\d\s?(ns|µs|us|ms|s|seconds?)\b")
HOSTILE = (
    "<script>document.title='owned'</script>.onnx", "\"><img src=x onerror=\"document.title='owned'\">'.onnx",
    "\N{RIGHT-TO-LEFT OVERRIDE}xnno.evil\N{LINE FEED}second line.onnx", "מודל-זיהוי-דיבור.onnx",
    "{{ 7 * 7 }}{% for %}&lt;&amp;.onnx", "W" * 300 + ".onnx", "模型" * 150 + ".tflite", "bytes-\udcff\x00\x1b[31m.onnx",
)  # fmt: skip


def _busy() -> Json:
    """Six decades of time, two models that are not stable, two that were refused, and a gate that failed."""
    document = bench_document(NAMES[:5], [900.0, 3e4, 2e6, 2.02e6, 9e8], 500, clean=[0.3, 0.4, 0.04, 0.0, 0.5])
    document["gate"] = {"limit": 0.1, "passed": False, "reasons": ["too slow " * 20], "undecided": []}
    return {**document, **_nothing()}


def _nothing() -> Json:
    refusal = {"kind": "unsupported", "message": "it has GridSample", "why": "no kernel", "hint": "use opset 20"}
    return {"refused": [{"model": "n" * 200, "error": refusal}, {"model": "y.tflite", "error": "killed by SIGSEGV"}]}


def _alike() -> Json:
    """Ten models that lie on one spot of every chart, with names that begin and end alike."""
    names = [f"experiments/{k}/a-rather-long-directory/{'very-' * 12}long-model-name-{k}.onnx" for k in range(10)]
    return bench_document(names, [2e6 * (1 + 0.001 * k) for k in range(10)], 500)


MADE: dict[str, Callable[[], Json]] = {
    "ten": lambda: bench_document(samples=500, operators=40),
    "one": lambda: bench_document(NAMES[:1], samples=500, operators=3),
    "busy": _busy,
    "alike": _alike,
    "hostile": lambda: bench_document(HOSTILE, samples=500),
    "emulated": lambda: emulated_document(NAMES[:4]),
    "tool": tool_document,
    "estimated": estimated_document,
    "nothing": _nothing,
}


class Browser:
    """Chromium without network; every page is opened from a file."""

    def __init__(self, folder: Path) -> None:
        from selenium import webdriver
        from selenium.webdriver.chrome.service import Service

        options = webdriver.ChromeOptions()
        options.binary_location = str(CHROMIUM)
        for flag in (
            "headless", "no-sandbox", "disable-gpu", "disable-quic", "no-first-run", "disable-background-networking",
            "disable-component-update", "disable-sync", "disable-dev-shm-usage", "hide-scrollbars",
            "host-resolver-rules=MAP * ~NOTFOUND", f"user-data-dir={folder / 'profile'}",
        ):  # fmt: skip
            options.add_argument(f"--{flag}")
        options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
        self.folder = folder
        # The driver is named, so that selenium looks for none and fetches none.
        self.driver = webdriver.Chrome(options=options, service=Service(str(DRIVER)))
        self.driver.execute_cdp_cmd("Network.enable", {})
        offline = {"offline": True, "latency": 0, "downloadThroughput": 0, "uploadThroughput": 0}
        self.driver.execute_cdp_cmd("Network.emulateNetworkConditions", offline)

    def address(self, name: str) -> str:
        return (self.folder / f"{name}.html").as_uri()

    def write(self, name: str, document: Json) -> None:
        (self.folder / f"{name}.html").write_text(render(document), encoding="utf-8")

    def open(self, name: str, width: int = 1280, scheme: str = "light", media: str = "screen") -> None:
        if not (self.folder / f"{name}.html").exists():
            self.write(name, MADE[name]())
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": media, "features": features})
        self.driver.get(self.address(name))

    def run(self, script: str) -> Any:
        return self.driver.execute_script(script)

    def requests(self) -> list[str]:
        """The addresses asked for since the last call."""
        events = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        return [one["params"]["request"]["url"] for one in events if one["method"] == "Network.requestWillBeSent"]


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    opened = Browser(tmp_path_factory.mktemp("browser"))
    try:
        yield opened
    finally:
        opened.driver.quit()


@browsing
@pytest.mark.parametrize("name", MADE)
def test_the_page_asks_for_nothing_and_complains_of_nothing(browser: Browser, name: str) -> None:
    """Not even for an icon; a breach of its own policy would stand in the console."""
    browser.requests()
    browser.open(name)
    assert browser.requests() == [browser.address(name)]
    assert browser.driver.get_log("browser") == []
    assert browser.run("return getComputedStyle(document.body).maxWidth") != "none", "the style sheet was not applied"


@browsing
@pytest.mark.parametrize("width", [360, 800, 1280])
@pytest.mark.parametrize("name", MADE)
def test_nothing_sticks_out_to_the_right(browser: Browser, name: str, width: int) -> None:
    browser.open(name, width)
    assert browser.run("return document.documentElement.scrollWidth") <= width
    shown = browser.run(
        "return [...document.querySelectorAll('svg[role=img]')].filter(s => s.checkVisibility()).map(s => "
        "[s.getBoundingClientRect().left, s.getBoundingClientRect().right])"
    )
    assert all(left >= 0 and right <= width for left, right in shown)


TEXTS = """return [...document.querySelectorAll('svg[role=img]')].filter(s => s.checkVisibility()).map(s => {
  const f = s.getBoundingClientRect();
  return [[f.left, f.top, f.right, f.bottom], [...s.querySelectorAll('text')].map(t => {
    const b = t.getBoundingClientRect(); return [t.textContent, b.left, b.top, b.right, b.bottom] })] })"""


@browsing
@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize("name", MADE)
def test_no_text_of_a_chart_lies_over_another_or_outside(browser: Browser, name: str, width: int) -> None:
    browser.open(name, width)
    charts = browser.run(TEXTS)
    for frame, texts in charts:
        for text, left, top, right, bottom in texts:
            assert left > frame[0] - 1 and right < frame[2] + 1, text
            assert top > frame[1] - 2 and bottom < frame[3] + 2, text
        for one, other in itertools.combinations(texts, 2):
            across = min(one[3], other[3]) - max(one[1], other[1])
            down = min(one[4], other[4]) - max(one[2], other[2])
            assert across < 1 or down < 1, (one, other)
    assert charts or name in ("nothing", "estimated")


COLOURS = """
const solid = c => !/, 0\\)$/.test(c) && c !== 'transparent';
const behind = e => { for (; e; e = e.parentElement) {
  const c = getComputedStyle(e).backgroundColor; if (solid(c)) return c } return 'rgb(255, 255, 255)' };
const found = [];
const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (walk.nextNode()) { const e = walk.currentNode.parentElement;
  if (walk.currentNode.data.trim() && e.checkVisibility() && !e.closest('title, desc')) {
    const s = getComputedStyle(e); found.push(['text', walk.currentNode.data.trim().slice(0, 40),
      e instanceof SVGElement ? s.fill : s.color, behind(e)]) } }
for (const e of document.querySelectorAll('.m, .clean, .every, .interval, .lane, .flag, .meter path, .one, .front')) {
  if (!e.checkVisibility()) continue;
  const s = getComputedStyle(e); const outlined = s.stroke !== 'none';
  found.push(['mark', e.getAttribute('class') || e.tagName, outlined ? s.stroke : s.fill, behind(e)]) }
return found"""


def _luminance(colour: str) -> float:
    channels = [int(value) / 255 for value in re.findall(r"\d+", colour)[:3]]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """WCAG 2.2, contrast ratio of two colours as CSS computes them."""
    low, high = sorted((_luminance(one), _luminance(other)))
    return (high + 0.05) / (low + 0.05)


@browsing
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["busy", "emulated", "ten"])
def test_text_and_marks_stand_out_in_both_colour_schemes(browser: Browser, name: str, scheme: str) -> None:
    """WCAG 2.2 AA: 4.5 for text (1.4.3), 3 for what a picture is read by (1.4.11)."""
    browser.open(name, scheme=scheme)
    found = browser.run(COLOURS)
    assert len(found) > 50
    for kind, what, colour, behind in found:
        assert contrast(colour, behind) >= (4.5 if kind == "text" else 3.0), (kind, what, colour, behind)
    paper = browser.run("return getComputedStyle(document.body).backgroundColor")
    assert _luminance(paper) > 0.9 if scheme == "light" else _luminance(paper) < 0.05


@browsing
def test_print_is_light_and_fits_the_paper_even_for_who_reads_in_the_dark(browser: Browser) -> None:
    browser.open("busy", 718, "dark", "print")
    assert browser.run("return document.documentElement.scrollWidth") <= 718
    assert browser.run("return getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"


@browsing
def test_hostile_names_are_text(browser: Browser) -> None:
    """No element, no attribute and no template is made of a name; control letters are shown as such."""
    browser.open("hostile")
    assert (
        browser.run("return document.querySelectorAll('script, img, iframe, object, [onerror], [style]').length") == 0
    )
    assert "owned" not in browser.driver.title.split("–")[-1]
    names = browser.run("return [...document.querySelectorAll('h3 bdi')].map(e => e.textContent)")
    shown = "\N{REPLACEMENT CHARACTER}"
    assert names == [
        re.sub("[\u202e\udcff\x00\x1b]", shown, name).replace("\n", " ") for name in HOSTILE
    ]  # fmt: skip
    assert browser.run("return [...document.querySelectorAll('a[href]')].every(a => a.hash && !a.search)")


@browsing
@pytest.mark.parametrize("name", ["emulated", "estimated"])
def test_what_was_not_timed_shows_no_time(browser: Browser, name: str) -> None:
    """Not in a tooltip or a description either, and whatever stands in the record."""
    document = MADE[name]()
    for result in document["results"]:
        result |= {"latency_ns": {"p50": 2e6, "p90": 3e6, "p99": 4e6, "min": 1e6}, "load_ns": 5e6, "first_call_ns": 5e6}
        result |= {"isolated_ns": {"p50": 2e6, "p99": 2e6}, "verdict": "stable", "harness_floor_ns": 2470}
        result["environment"]["probe_ns"] = 5488
        result["launches"] = bench_document(NAMES[:1], samples=50)["results"][0]["launches"]
        result["profile"] = bench_document(NAMES[:1], samples=50, operators=4)["results"][0]["profile"]
    browser.write(f"{name}-with-times", document)
    browser.open(f"{name}-with-times")
    text = browser.run(
        "return document.documentElement.textContent.replace(document.querySelector('style').textContent, '')"
    )
    assert not TIME.search(text), TIME.search(text)
    assert not re.search(r"faster|slower|latency|p50", text, re.IGNORECASE)


def test_estimated_cycles_are_compared_as_cycles() -> None:
    """They are no time: a ratio of them must not be told as one."""
    page = html.unescape(render(estimated_document()))
    assert re.search(r"is estimated at 12\.3\s% fewer cycles than", page)
    assert "estimated, not sampled" in page and "time than" not in page and "faster</" not in page


@browsing
@pytest.mark.parametrize("name", MADE)
def test_the_page_can_be_read_without_seeing_it(browser: Browser, name: str) -> None:
    """Charts are named and told, tables have captions and scoped heads, scrolled regions take the focus, ids are unique."""
    browser.open(name)
    charts = (
        "[...document.querySelectorAll('svg:not([aria-hidden])')].filter(s => !s.closest('[aria-hidden]')).every(s => "
        "s.getAttribute('role') == 'img' && document.getElementById(s.getAttribute('aria-labelledby')).textContent && "
        "document.getElementById(s.getAttribute('aria-describedby')).textContent)"
    )
    for script in (
        charts,
        "[...document.querySelectorAll('table')].every(t => t.caption && t.caption.textContent.trim())",
        "[...document.querySelectorAll('th')].every(t => t.scope)",
        "[...document.querySelectorAll('tbody tr')].every(r => r.cells[0].scope == 'row')",
        "[...document.querySelectorAll('.scroll')].every(s => s.tabIndex == 0 && s.getAttribute('aria-label'))",
        "(i => new Set(i).size == i.length)([...document.querySelectorAll('[id]')].map(e => e.id))",
        "[...document.querySelectorAll('a')].every(a => document.getElementById(decodeURI(a.hash.slice(1))))",
        "document.querySelectorAll('h1').length == 1 && document.documentElement.lang == 'en'",
    ):
        assert browser.run(f"return {script}"), script


@pytest.mark.parametrize("names", [NAMES, tuple(f"{k}-" + "模型" * 148 for k in range(10))], ids=["plain", "long"])
def test_ten_models_of_25_000_calls_stay_below_300_kilobytes(names: tuple[str, ...]) -> None:
    document = bench_document(names, samples=5000, operators=250)
    assert sum(result["samples"] for result in document["results"]) == 250_000
    page = render(document)
    assert len(page.encode()) < 300_000
    assert page == render(document), "the same document must give the same page"


def test_nothing_runs_and_nothing_is_fetched() -> None:
    page = html.unescape(render(bench_document(NAMES[:3], samples=50, operators=5)))
    assert "default-src 'none'" in page and "unsafe-inline" not in page and "<script" not in page
    assert not re.search(r"\b(?:src|href)\s*=(?!\"#)", page) and "url(" not in page and "@import" not in page


def _paths(item: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if path:
        yield path
    if isinstance(item, dict):
        for key, value in item.items():
            yield from _paths(value, (*path, key))
    elif isinstance(item, list) and item and not isinstance(item[0], int | float | str):
        yield from _paths(item[0], (*path, 0))


@pytest.mark.parametrize("name", ["timed", "emulated", "tool", "estimated"])
def test_whatever_is_null_leaves_a_page(name: str) -> None:
    """One value after another; what the samples and the blocks are made of excepted."""
    sources = {
        "timed": bench_document(NAMES[:2], samples=20, processes=2, operators=2),
        "emulated": emulated_document(calibrated=True), "tool": tool_document(), "estimated": estimated_document(),
    }  # fmt: skip
    document = sources[name]
    tried = 0
    for path in _paths(document):
        if path[-1] in ("samples_ns", "clean", 0):
            continue
        changed = copy.deepcopy(document)
        place = changed
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = None
        assert render(changed).rstrip().endswith("</html>"), path
        tried += 1
    assert tried > 40


def test_the_head_says_who_is_faster_by_how_much_and_how_sure() -> None:
    document = bench_document(["slow.onnx", "fast.onnx"], [2e6, 1.2e6], 500)
    document["comparison"][0] |= {"ratio": 0.6, "ci95": [0.59, 0.61], "verdict": "faster"}
    page = render(document).replace("\N{NO-BREAK SPACE}", " ")
    assert "<h1><bdi>fast.onnx takes 40.0 % less time than slow.onnx</bdi></h1>" in page
    assert "Ratio of isolated medians: 0.600, 95 % interval 0.590 to 0.610." in page


def test_the_head_names_what_is_unstable_and_why() -> None:
    document = bench_document(["busy.onnx"], samples=500, clean=[0.1])
    page = render(document).replace("\N{NO-BREAK SPACE}", " ")
    assert "<h1><bdi>busy.onnx: unstable</bdi></h1>" in page
    assert re.search(r"busy\.onnx \(\d+\.\d % of calls clean, 20 % needed\)", page)


def test_a_calibrated_range_comes_with_its_date_and_spread() -> None:
    page = render(emulated_document(NAMES[:1], calibrated=True)).replace("\N{NO-BREAK SPACE}", " ")
    assert "Calibrated range: 3.1 to 4.2 ms per inference, on Raspberry Pi 4 Model B" in page
    assert "2026-11-20" in page and "a factor of 1.35" in page


def test_quiet_calls_are_the_isolated_ones_where_the_result_says_so() -> None:
    """What the page draws as isolated is what the result's isolated median is of."""
    from mlpack_edge.cli.bench_page.models import models_of

    document = bench_document(NAMES[:1], samples=100, processes=2)
    block: Json = {"samples_ns": list(range(10, 30)), "clean": "1" * 15 + "0" * 5, "quiet": "0" * 5 + "1" * 15}
    for launch in document["results"][0]["launches"]:
        launch["blocks"] = [block]
    by_clean = models_of(document["results"])[0].isolated
    document["results"][0]["isolated_by"] = "quiet"
    by_quiet = models_of(document["results"])[0].isolated
    assert by_clean.tolist() == 2 * list(range(10, 25)) and by_quiet.tolist() == 2 * list(range(15, 25))
