"""How quick `rnnapps demo` is, and whether eight people at once get their own answers.

    python benchmarks/demo.py saved_models/sentiment saved_models/chargen

Needs `pip install 'rnnapps[demo]' playwright` and Chromium.
"""

import argparse
import shutil
import time
import urllib.request

import tensorflow  # noqa: F401 (what is measured begins behind it)
from common import record, show, show_machine
from playwright.sync_api import Page, sync_playwright

PEOPLE, SECONDS = 8, 60


def usable(exports: list[str]) -> tuple[float, float, str, object]:
    """Seconds, and CPU seconds, until the page is there, its address, and what keeps it up."""
    began, cpu = time.monotonic(), time.process_time()
    from rnnapps.demo.models import served
    from rnnapps.demo.page import build, launch
    from rnnapps.demo.sources import locate

    up = served(locate(exports))
    address = launch(build(up.__enter__()), 0)
    urllib.request.urlopen(address).read()
    return time.monotonic() - began, time.process_time() - cpu, address, up


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


def together(pages: list[Page]) -> tuple[int, int, int]:
    """Answers to all people, errors, and answers to another's text."""
    answers = errors = mixed = turn = 0
    end = time.monotonic() + SECONDS
    panels = [page.locator("[role=tabpanel]:visible") for page in pages]
    while time.monotonic() < end:
        texts = [f"person {i} saw film {turn}" for i in range(len(pages))]
        for panel, text in zip(panels, texts, strict=True):
            panel.get_by_role("textbox").first.fill(text)
            panel.get_by_role("button", name="Classify").click(no_wait_after=True)
        for panel, text in zip(panels, texts, strict=True):
            expected = panel.locator(".rn-text", has_text=text)
            try:
                expected.wait_for(timeout=30_000)
                answers += 1
            except Exception:
                errors += panel.locator(".rn-error").count()
                mixed += panel.locator(".rn-text", has_text="person").count()
        turn += 1
    return answers, errors, mixed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("exports", nargs=2, help="of a sentiment classifier, of a generator")
    exports = parser.parse_args().exports
    seconds, cpu, address, up = usable(exports)
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(locale="en-US")
        page.goto(address)
        page.get_by_role("tab").first.wait_for()
        writing(page)  # the first of a page loads what it needs
        first, stop = writing(page)
        pages = [browser.new_context(locale="en-US").new_page() for _ in range(PEOPLE)]
        for one in pages:
            one.goto(address)
            one.get_by_role("button", name="Classify").wait_for()
        answers, errors, mixed = together(pages)
        browser.close()
    up.__exit__(None, None, None)
    row = {
        "page usable, s": seconds,
        "CPU s": cpu,
        "first characters, s": first,
        "stopped after, s": stop,
        f"answers to {PEOPLE} people in {SECONDS} s": answers,
        "errors": errors,
        "mixed up": mixed,
    }
    show_machine()
    show("demo", {"two exports": row}, row)
    record("demo", {"two exports": row})


if __name__ == "__main__":
    main()
