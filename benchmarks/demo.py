"""Speed of `rnnapps demo`, and whether eight concurrent users get their own answers.

    python benchmarks/demo.py saved_models/sentiment saved_models/chargen

Needs `pip install 'rnnapps[demo]' playwright` and Chromium.
"""

import argparse
import contextlib
import shutil
import time
from collections.abc import Iterator

import tensorflow  # noqa: F401 (what is measured begins behind it)
from common import record, show, show_machine
from playwright.sync_api import Page, TimeoutError, sync_playwright

PEOPLE, SECONDS = 8, 60


@contextlib.contextmanager
def usable(exports: list[str], page: Page) -> Iterator[tuple[str, dict[str, float]]]:
    """The address of a page, and the seconds until it is served, usable, and loaded."""
    began, cpu = time.monotonic(), time.process_time()
    from rnnapps.demo.models import served
    from rnnapps.demo.sources import locate

    with served(locate(exports)) as models:
        from rnnapps.demo.page import build, launch

        address = launch(build(models), 0)
        there = time.monotonic() - began
        page.goto(address)
        page.get_by_role("button", name="Classify").wait_for()
        row = {"page served, s": there, "page usable, s": time.monotonic() - began}
        for model in models:
            model.client.signature()
        row["models loaded, s"] = time.monotonic() - began
        row["CPU s"] = time.process_time() - cpu
        yield address, row


def writing(page: Page) -> tuple[float, float]:
    """Seconds to the first characters, and from Stop to the last."""
    page.get_by_role("tab", name="chargen", exact=True).click()
    panel = page.locator("[role=tabpanel]:visible")
    panel.get_by_label("Beginning").fill("The ")
    panel.get_by_label("number input for Length").fill("2000")
    clock = """() => new Promise(done => {
        const began = performance.now(), button = name => [...document.querySelectorAll('button')]
            .find(one => one.offsetParent && one.innerText.trim() == name);
        const text = () => [...document.querySelectorAll('.rn-text')]
            .find(one => one.offsetParent)?.innerText ?? '';
        let first = 0, stopped = 0, last = 0, shown = text();
        button('Write').click();
        const look = setInterval(() => {
            const now = performance.now();
            if (text() != shown) { shown = text(); last = now; first = first || now; }
            if (first && !stopped && now - first > 2000) { button('Stop').click(); stopped = now; }
            if (stopped && now - stopped > 3000) {
                clearInterval(look);
                done([(first - began) / 1000, Math.max(0, last - stopped) / 1000]);
            }
        }, 5);
    })"""
    first, stop = page.evaluate(clock)
    return first, stop


def together(pages: list[Page]) -> dict[str, int]:
    """The answers that eight users see for their texts."""
    seen = dict.fromkeys(("answers", "errors", "mixed up", "no answer"), 0)
    end, turn = time.monotonic() + SECONDS, 0
    panels = [page.locator("[role=tabpanel]:visible") for page in pages]
    while time.monotonic() < end:
        texts = [f"person {i} saw film {turn}" for i in range(len(pages))]
        for panel, text in zip(panels, texts, strict=True):
            panel.get_by_role("textbox").first.fill(text)
            panel.get_by_role("button", name="Classify").click(no_wait_after=True)
        for i, (panel, text) in enumerate(zip(panels, texts, strict=True)):
            shown = panel.locator(".rn-text")
            wrong = panel.locator(".rn-error")
            try:
                shown.filter(has_text=text).or_(wrong).first.wait_for(timeout=30_000)
            except TimeoutError:
                words = " ".join(shown.all_inner_texts())
                others = any(f"person {j} " in words for j in range(len(pages)) if j != i)
                seen["mixed up" if others else "no answer"] += 1
                continue
            seen["errors" if wrong.count() else "answers"] += 1
        turn += 1
    return seen


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("exports", nargs=2, help="of a sentiment classifier, of a generator")
    exports = parser.parse_args().exports
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(locale="en-US")
        page.goto("about:blank")
        with usable(exports, page) as (address, row):
            writing(page)  # the first of a page loads what it needs
            row["first characters, s"], row["stopped after, s"] = writing(page)
            pages = [browser.new_context(locale="en-US").new_page() for _ in range(PEOPLE)]
            for one in pages:
                one.goto(address)
                one.get_by_role("button", name="Classify").wait_for()
            seen = together(pages)
            browser.close()
    row[f"answers to {PEOPLE} people in {SECONDS} s"] = seen.pop("answers")
    row |= seen
    show_machine()
    show("demo", {"two exports": row}, row)
    record("demo", {"two exports": row})


if __name__ == "__main__":
    main()
