"""The page of `mlpack drift --html`, in a real browser and as text."""

from __future__ import annotations

import html
import itertools
import re
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import pytest

from mlpack_edge.cli.drift_page import counted, render
from mlpack_edge.cli.drift_page.series import windows_of
from mlpack_edge.profiles.drift.gates import Gates
from mlpack_edge.profiles.profile import Profile, Window
from mlpack_edge.profiles.spec import Spec
from tests.cli.drift_made import june, plain_days, plain_spec, report_of, seventy_days
from tests.cli.test_bench_page import Browser as BenchBrowser
from tests.cli.test_bench_page import browsing, contrast

HOSTILE = {
    "x": "<script>document.title='owned'</script>",
    "amount": "\"><img src=x onerror=\"document.title='owned'\">'",
    "kind": "\N{RIGHT-TO-LEFT OVERRIDE}dnik\N{LINE FEED}second line " + "W" * 200,
    "grade": "{{ 7 * 7 }}{% for %}&lt;&amp;" + "模型" * 80,
}


def page_of(spec: Spec, profiles: list[Profile], name: str = "late", lengths: tuple[int, ...] = (1, 7, 28)) -> str:
    report = report_of(spec, profiles, lengths)
    return render(spec, report, Gates(), counted(spec, report, profiles), name)


def _hostile() -> str:
    """Names of features and categories as no one should give them."""
    spec = plain_spec()
    named = tuple(
        replace(feature, source=replace(feature.source, name=HOSTILE.get(feature.source.name, feature.source.name)))
        for feature in spec.features
    )
    learned = {HOSTILE.get(name, name): each for name, each in spec.reference.learned.items()}
    texts = ("<b>bold</b>", '"onload="x', "\N{RIGHT-TO-LEFT OVERRIDE}abc", "D" * 300)
    wrong = tuple(
        replace(each, categories=(*texts, *each.categories[len(texts) :])) if len(getattr(each, "categories", ())) > 4 else each
        for each in named
    )  # fmt: skip
    other = replace(spec, features=wrong, reference=replace(spec.reference, learned=learned))
    report = report_of(spec, plain_days(spec, 40, june))
    renamed = replace(
        report,
        windows=tuple(
            replace(window, features=tuple(replace(each, name=HOSTILE.get(each.name, each.name)) for each in window.features))
            for window in report.windows
        ),
        slow=tuple(replace(each, name=HOSTILE.get(each.name, each.name)) for each in report.slow),
    )  # fmt: skip
    return render(other, renamed, Gates(), counted(other, report, plain_days(spec, 40, june)), "<i>late</i>")


def _timeless() -> str:
    days = [replace(each, window=Window(0, 0, 0)) for each in plain_days(plain_spec(), 2, _always, rows=400)]
    return page_of(plain_spec(), days)


def _always(table: dict[str, np.ndarray], day: int) -> None:
    june(table, 99)


MADE: dict[str, Callable[[], str]] = {
    "june": lambda: page_of(plain_spec(), plain_days(plain_spec(), 60, june)),
    "calm": lambda: page_of(plain_spec(), plain_days(plain_spec(), 28)),
    "day": lambda: page_of(plain_spec(), plain_days(plain_spec(), 1, _always)),
    "timeless": _timeless,
    "few": lambda: page_of(plain_spec(12), plain_days(plain_spec(12), 9, _always, rows=9)),
    "devices": lambda: page_of(plain_spec(40), plain_days(plain_spec(40), 3, _always, rows=30, devices=14)),
    "hostile": _hostile,
}


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
@pytest.mark.parametrize("name", ["june", "calm"])
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


def test_seventy_features_and_120_days_stay_below_400_kilobytes() -> None:
    spec, profiles = seventy_days()
    assert len(spec.features) == 70 and len(profiles) == 120
    page = page_of(spec, profiles)
    assert page.count('<svg class="chart"') > 150
    assert len(page.encode()) < 400_000
    assert "10 of 70 features." in page


def test_nothing_runs_and_nothing_is_fetched() -> None:
    page = html.unescape(MADE["june"]())
    assert "default-src 'none'" in page and "unsafe-inline" not in page and "<script" not in page
    assert not re.search(r"\b(?:src|href)\s*=(?!\"#)", page) and "url(" not in page and "@import" not in page


def test_more_days_than_can_be_drawn_are_drawn_as_weeks() -> None:
    spec = plain_spec()
    report = report_of(spec, plain_days(spec, 450, rows=10))
    drawn = windows_of(report)
    assert {window.days for window in drawn} == {7} and len(drawn) == 450 // 7


def test_few_rows_show_no_cell() -> None:
    """Nine rows a day: the days say nothing alone, and no bar stands for fewer than ten rows."""
    spec = plain_spec()
    page = page_of(spec, plain_days(spec, 1, rows=9))
    assert page.count("Too few rows or devices to show any cell.") == 5


def test_rows_of_nine_devices_show_no_cell() -> None:
    spec = plain_spec(40)
    page = page_of(spec, plain_days(spec, 1, rows=100, devices=9))
    assert page.count("Too few rows or devices to show any cell.") == 5
    assert "Confidence of the answers" not in page


def test_an_insufficient_reference_is_called_so_and_the_estimate_a_proxy() -> None:
    page = html.unescape(MADE["few"]())
    assert "insufficient reference" in page and "times 3, because the reference is insufficient" in page
    assert "This is a proxy" in html.unescape(MADE["june"]())
