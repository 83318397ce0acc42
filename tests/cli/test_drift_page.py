"""The page of `mlpack drift --html` in a real browser."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest

from tests.cli.drift_pages import HOSTILE, MADE
from tests.cli.test_bench_page import Browser as BenchBrowser
from tests.cli.test_bench_page import browsing, contrast


class Browser(BenchBrowser):
    """Chromium without network; every page is opened from a file, all its details open where asked for."""

    def open(
        self, name: str, width: int = 1280, scheme: str = "light", media: str = "screen", details: bool = True
    ) -> None:
        path = self.folder / f"{name}.html"
        if not path.exists():
            path.write_text(MADE[name](), encoding="utf-8")
        super().open(name, width, scheme, media)
        if details:
            self.run("document.querySelectorAll('details').forEach(d => d.open = true)")


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
    assert browser.run("return document.querySelectorAll('script, [style], [onclick], link, img, iframe').length") == 0


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
            assert across < 1 or down < 2, (one, other)
    assert charts


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
for (const e of document.querySelectorAll('.ref, .cur, .past, .other, .longer, .alarm, .limit, .usual, .divide, .flag')) {
  if (!e.checkVisibility()) continue;
  const s = getComputedStyle(e); const outlined = s.stroke !== 'none';
  found.push(['mark', e.getAttribute('class') || e.tagName, outlined ? s.stroke : s.fill, behind(e)]) }
return found"""


@browsing
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["june", "calm", "unjudged"])
def test_text_and_marks_stand_out_in_both_colour_schemes(browser: Browser, name: str, scheme: str) -> None:
    """WCAG 2.2 AA: 4.5 for text (1.4.3), 3 for what a picture is read by (1.4.11)."""
    browser.open(name, scheme=scheme)
    found = browser.run(COLOURS)
    assert len(found) > 50
    for kind, what, colour, behind in found:
        assert contrast(colour, behind) >= (4.5 if kind == "text" else 3.0), (kind, what, colour, behind)


@browsing
def test_reference_and_now_are_told_apart_without_colour(browser: Browser) -> None:
    """An area against a line; above against below; a broken line for unseen: the same in grey."""
    browser.open("june")
    styles = browser.run(
        "const s = c => getComputedStyle(document.querySelector('article svg.chart ' + c));"
        "return [s('.ref').fill, s('.cur').fill, s('.other').strokeDasharray, s('.cur').strokeDasharray]"
    )
    assert styles[0] != "none" and styles[1] == "none" and styles[2] != "none" and styles[3] == "none"


@browsing
@pytest.mark.parametrize("name", ["june", "calm"])
def test_print_is_light_shows_everything_and_fits_the_paper(browser: Browser, name: str) -> None:
    """Also what is folded on the screen, and for who reads in the dark."""
    browser.open(name, 718, "dark", "print", details=False)
    assert browser.run("return document.documentElement.scrollWidth") <= 718
    assert browser.run("return getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    hidden = "return [...document.querySelectorAll('details svg.chart')].filter(s => !s.getBoundingClientRect().height).length"
    assert browser.run(hidden) == 0


@browsing
def test_hostile_names_are_text(browser: Browser) -> None:
    """No element, no attribute and no template is made of a name; control letters are shown as such."""
    browser.open("hostile")
    assert (
        browser.run("return document.querySelectorAll('script, img, b, i, [onerror], [onload], [style]').length") == 0
    )
    names = browser.run("return [...document.querySelectorAll('article h3 bdi')].map(e => e.textContent)")
    shown = {name.replace("\u202e", "\N{REPLACEMENT CHARACTER}") for name in HOSTILE.values()}
    assert names and set(names) <= shown
    assert browser.run("return document.title").endswith("mlpack drift")
    assert (
        "49" not in browser.run("return document.querySelector('#all + div').textContent").split("{{ 7 * 7 }}")[0][-2:]
    )


@browsing
@pytest.mark.parametrize("name", MADE)
def test_the_page_can_be_read_without_seeing_it(browser: Browser, name: str) -> None:
    """Charts are named and told, tables have captions and scoped heads, scrolled regions take the focus, ids are unique."""
    browser.open(name)
    charts = (
        "[...document.querySelectorAll('svg:not([aria-hidden])')].filter(s => !s.closest('[aria-hidden]')).every(s => "
        "s.getAttribute('role') == 'img' && (s.getAttribute('aria-label') || s.getAttribute('aria-labelledby')) && "
        "s.querySelector('desc').textContent.length > 10)"
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
        "!/(NaN|undefined|None|nan|inf)\\b/.test(document.body.innerText)",
    ):
        assert browser.run(f"return {script}"), script


@browsing
def test_what_drifted_first_stands_first_and_leads_to_its_charts(browser: Browser) -> None:
    browser.open("june")
    assert (
        browser.run("return document.querySelector('h1').textContent").strip()
        == "amount drifted first, since 2026-01-31; then kind and x"
    )
    order = browser.run("return [...document.querySelectorAll('.order li')].map(e => e.innerText)")
    assert [text.split()[0] for text in order] == ["amount", "kind", "x"]
    assert "missing rose from 0 to 10 % of rows" in order[0] and "since 2026-01-31" in order[0]
    browser.run("document.querySelector('.order a').click()")
    assert browser.run("return document.querySelector(':target').tagName") == "ARTICLE"
    assert browser.run("return document.querySelector(':target h3').innerText").split() == [
        "amount",
        "numeric",
        "input",
    ]
    assert browser.run("return document.querySelectorAll(':target svg.chart').length") == 3


@browsing
def test_a_link_to_a_folded_feature_unfolds_it(browser: Browser) -> None:
    browser.open("calm", details=False)
    assert not browser.run("return document.querySelector('svg.chart').checkVisibility()")
    browser.run("document.querySelector('#all + div tbody a').click()")
    assert browser.run("return document.querySelector(':target svg.chart').checkVisibility()")
