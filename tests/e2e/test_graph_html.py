"""The page of `flowc graph --format html` in a real Chromium: it shows every step, by mouse and by keys, on phones and in the dark."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from engines.browser.chromium import chromium
from graph_html.pages import HOSTILE, ROOT, made
from graph_html.pictures import long, wide

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.e2e

FLOWS = Path(__file__).parents[1] / "graph_html" / "flows"
SIZES = {"phone": (390, 844), "tablet": (768, 1024), "desktop": (1440, 900)}
SCREENS = os.environ.get("FLOWC_SCREENSHOTS")
CONTRAST = (Path(__file__).parent / "contrast.js").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """The Chromium of tests/engines/browser, driven by Playwright."""
    from playwright.sync_api import sync_playwright

    found = chromium()
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(
            executable_path=str(found.program), args=list(found.arguments), env={**os.environ, **found.environment}
        )
        yield started
        started.close()


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The pages of several flows, as files."""
    texts = {
        "train": (ROOT / "examples" / "train.py").read_text(encoding="utf-8"),
        "orders": (FLOWS / "orders.py").read_text(encoding="utf-8"),
        "hostile": HOSTILE,
        "wide": wide(40),
        "long": long(200),
    }
    found = {}
    for name, text in texts.items():
        folder = tmp_path_factory.mktemp(name)
        targets = () if name == "long" else ("-t", "argo", "-t", "kubernetes", "-t", "step-functions")
        made(folder, text, *targets)
        found[name] = folder / "page.html"
    return found


class Visit:
    """A page that is open. `trouble` holds all that it asked for, and all that went wrong in it."""

    def __init__(self, page: Page, url: str) -> None:
        self.page, self.trouble = page, list[str]()
        page.on("console", lambda message: self.trouble.append(f"console: {message.text}"))
        page.on("pageerror", lambda error: self.trouble.append(f"error: {error}"))
        page.on(
            "request", lambda request: self.trouble.append(request.url) if request.url.partition("#")[0] != url.partition("#")[0] else None
        )
        page.goto(url)

    def shown(self) -> list[str]:
        """The sections that can be seen."""
        found: list[str] = self.page.evaluate(
            "[...document.querySelectorAll('#details > section')].filter(s => s.offsetParent).map(s => s.id)"
        )
        return found


@pytest.fixture
def visit(browser: Browser, pages: dict[str, Path]) -> Iterator[Any]:
    """Open a page in a window of that size and light; at the end nothing was asked for and nothing went wrong."""
    opened: list[Visit] = []

    def go(name: str, size: str = "desktop", light: Any = "light", hash_: str = "", *, touch: bool = False, script: bool = True) -> Visit:
        width, height = SIZES[size]
        context = browser.new_context(
            viewport={"width": width, "height": height}, color_scheme=light, has_touch=touch, java_script_enabled=script
        )
        opened.append(Visit(context.new_page(), f"file://{pages[name]}{hash_}"))
        return opened[-1]

    yield go
    trouble = [each for one in opened for each in one.trouble]
    for one in opened:
        one.page.context.close()
    assert trouble == []


def steps_of(page: Page) -> list[str]:
    found: list[str] = page.evaluate("[...document.querySelectorAll('#drawing .step')].map(link => link.dataset.step)")
    return found


@pytest.mark.parametrize("name", ["train", "orders", "hostile"])
def test_a_click_shows_the_step(visit: Any, name: str) -> None:
    """Every step can be clicked: its own source, manifest and settings are shown and nothing else, and the address remembers it."""
    seen = visit(name)
    assert seen.shown() == ["flow"]
    for step in steps_of(seen.page):
        seen.page.click(f'#drawing .step[data-step="{step}"]')
        assert seen.shown() == [f"step-{step}"]
        assert seen.page.evaluate("location.hash") == f"#step-{step}"
        section = seen.page.locator(f"#step-{step}")
        assert f"def {step}(self" in section.locator(".source").inner_text()
        assert step.replace("_", "-") in section.locator(".manifest").inner_text()
        assert "timeout" in section.locator(".settings").inner_text()
        assert seen.page.locator("#drawing .step[aria-current]").get_attribute("data-step") == step
        assert seen.page.locator("#said").inner_text() == f"Step {step} is shown."
    seen.page.go_back()
    assert seen.shown() == [f"step-{steps_of(seen.page)[-2]}"]
    seen.page.click("h1 a")
    assert seen.shown() == ["flow"]


def test_keys_are_enough(visit: Any) -> None:
    """Tab comes to every step in the order of the flow, with a ring around it; Enter shows it; arrows go to neighbours; Escape goes back."""
    seen = visit("orders")
    page = seen.page
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    names = steps_of(page)
    reached: list[str] = []
    for _ in range(len(names) + 12):
        page.keyboard.press("Tab")
        step = page.evaluate("document.activeElement.closest('#drawing .step')?.dataset.step")
        if step:
            reached.append(step)
            page.keyboard.press("Enter")
            assert seen.shown() == [f"step-{step}"]
            ring = page.evaluate("getComputedStyle(document.activeElement.querySelector('.body')).strokeWidth")
            assert ring == "4px"
    assert reached == names
    page.focus('#drawing .step[data-step="start"]')
    places = []
    for key in ("ArrowDown", "ArrowRight", "ArrowLeft", "ArrowLeft", "ArrowUp"):
        page.keyboard.press(key)
        places.append(page.evaluate("document.activeElement.dataset.step"))
    assert places[-1] == "start"
    assert len(set(places)) == 4
    page.keyboard.press("Escape")
    assert seen.shown() == ["flow"]


def test_the_address_chooses_the_step(visit: Any) -> None:
    """A page that is opened with a step in its address shows that step, in the graph too, wherever in the graph it stands."""
    seen = visit("long", hash_="#step-s150")
    assert seen.shown() == ["step-s150"]
    box, canvas = (seen.page.locator(it).bounding_box() for it in ('.step[data-step="s150"]', ".canvas"))
    assert canvas["y"] <= box["y"] <= canvas["y"] + canvas["height"] - box["height"]
    assert len(steps_of(seen.page)) == 200
    assert visit("train", hash_="#step-nowhere").shown() == ["flow"]
    assert visit("train", hash_="#%E0%A4%A").shown() == ["flow"]


def test_targets_are_switched(visit: Any) -> None:
    """A button a target: only the chosen one's manifest and settings are shown, for every step."""
    seen = visit("train", hash_="#step-score")
    texts = []
    for name in ("argo", "kubernetes", "step-functions"):
        seen.page.click(f'button[data-target="{name}"]')
        assert seen.page.locator("button[aria-pressed=true]").inner_text() == name
        texts.append(seen.page.locator("#step-score .manifest").inner_text())
        seen.page.click('.step[data-step="judge"]')
        assert seen.page.evaluate(
            "[...document.querySelectorAll('.for')].filter(e => e.offsetParent).every(e => e.dataset.target === arguments)".replace(
                "arguments", f'"{name}"'
            )
        )
        seen.page.click('.step[data-step="score"]')
    assert "spec.templates[score]" in texts[0]
    assert "data[plan.json].jobs[score]" in texts[1]
    assert "Resources.JobDefinition" in texts[2]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", ["train", "orders", "hostile", "wide", "long"])
def test_the_page_fits_its_window(visit: Any, name: str, size: str) -> None:
    """No page is wider than its window, with the flow or a step shown; what is pressed is large enough, by WCAG for a mouse, on phones for a finger."""
    seen = visit(name, size, touch=size == "phone")
    for step in ["", *steps_of(seen.page)[:3]]:
        seen.page.evaluate(f"location.hash = '#step-{step}'" if step else "location.hash = '#flow'")
        seen.page.wait_for_function(f"document.querySelector('.chosen').id === '{f'step-{step}' if step else 'flow'}'")
        assert seen.page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), step
    least = 24 if size == "desktop" else 36
    small = seen.page.evaluate(
        "[...document.querySelectorAll('button, .step, .way, summary')].filter(e => e.getClientRects().length)"
        f".map(e => [e.textContent.trim(), e.getBoundingClientRect()]).filter(([, b]) => Math.min(b.width, b.height) < {least}).map(([t]) => t)"
    )
    assert small == []


@pytest.mark.parametrize("light", ["light", "dark"])
@pytest.mark.parametrize("name", ["train", "orders", "hostile"])
def test_text_has_contrast(visit: Any, name: str, light: str) -> None:
    """Every text has the contrast that WCAG AA asks for, 4.5 to 1, in the light and in the dark, chosen or not."""
    seen = visit(name, light=light)
    for step in ["", *steps_of(seen.page)]:
        if step:
            seen.page.click(f'#drawing .step[data-step="{step}"]')
        assert seen.page.evaluate(CONTRAST) == [], step


def test_contrast_is_judged(visit: Any) -> None:
    """The judge of contrast finds a text that is too pale, on the page and in the graph."""
    page = visit("train").page
    page.evaluate("document.querySelector('.kind').style.color = '#999'; document.querySelector('.step .name').style.fill = '#7ab'")
    assert len(page.evaluate(CONTRAST)) == 2


def test_dark_is_dark(visit: Any) -> None:
    """The page follows what the reader prefers."""
    seen = [visit("train", light=light).page.evaluate("getComputedStyle(document.body).backgroundColor") for light in ("light", "dark")]
    assert seen[0] != seen[1]


def test_hostile_text_does_nothing(visit: Any) -> None:
    """No tag, quote or handler in a flow's texts acts: the title stays, no element came of them, and nothing was loaded."""
    seen = visit("hostile")
    for step in steps_of(seen.page):
        seen.page.hover(f'#drawing .step[data-step="{step}"]')
        seen.page.click(f'#drawing .step[data-step="{step}"]')
    assert seen.page.title() == "Hostile · flowc graph"
    assert seen.page.locator("img, iframe, object, embed, form, svg[onload]").count() == 0
    assert seen.page.locator("script").count() == 1


def test_the_policy_holds(visit: Any) -> None:
    """Were a text not escaped after all, the page's policy would keep it from acting."""
    seen = visit("train")
    seen.page.evaluate(
        "document.body.insertAdjacentHTML('beforeend', '<img src=x:y onerror=\"document.title=1\"><p style=\"color:red\" id=red>x</p>')"
    )
    seen.page.evaluate("const s = document.createElement('script'); s.textContent = 'document.title = 2'; document.body.append(s)")
    seen.page.wait_for_timeout(100)
    assert seen.page.title() == "Train · flowc graph"
    assert seen.page.evaluate("getComputedStyle(document.getElementById('red')).color") != "rgb(255, 0, 0)"
    assert len([each for each in seen.trouble if "Content Security Policy" in each]) >= 3
    seen.trouble.clear()


def test_without_script_all_is_there(visit: Any) -> None:
    """Where scripts are off, every step is shown below the graph, and the graph's links lead there."""
    seen = visit("train", script=False)
    assert seen.page.locator("#details > section:visible").count() == 7
    seen.page.click('#drawing .step[data-step="ship"]')
    assert seen.page.url.endswith("#step-ship")


def test_zoom(visit: Any) -> None:
    """The graph can be made larger and smaller, and fitted to its pane."""
    seen = visit("orders")

    def width() -> float:
        return float(seen.page.locator("#drawing").bounding_box()["width"])

    begun = width()
    seen.page.click("[data-zoom=in]")
    assert width() > begun * 1.2
    for _ in range(3):
        seen.page.click("[data-zoom=out]")
    assert width() < begun
    seen.page.click("[data-zoom=fit]")
    box = seen.page.locator(".canvas").bounding_box()
    assert width() <= box["width"]


@pytest.mark.skipif(SCREENS is None, reason="FLOWC_SCREENSHOTS names no folder for them")
def test_screenshots(visit: Any) -> None:
    """The pictures that people look at."""
    assert SCREENS is not None
    for name, step in (("train", "score"), ("orders", "clean"), ("wide", "branch_7"), ("long", "s150"), ("hostile", "start")):
        for size in SIZES:
            for light in ("light", "dark"):
                for part in ("flow", f"step-{step}"):
                    page = visit(name, size, light, f"#{part}").page
                    page.wait_for_timeout(100)
                    page.screenshot(path=str(Path(SCREENS) / f"{name}-{part}-{size}-{light}.png"))
