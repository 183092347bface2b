"""`rnnapps demo` in a real browser, as a person would use it; and its errors in the shell.

The first needs Chromium and Playwright, and is skipped where they are missing.
"""

import contextlib
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import tarfile
import time
import urllib.parse

import pytest
from eager import eagerly

from rnnapps import Tagger, cli

pytest.importorskip("gradio")
PROGRAM = [sys.executable, "-m", "rnnapps.cli", "demo"]
SIZES = {"desktop": (1280, 900), "phone": (390, 844)}
ROOT = pathlib.Path(__file__).parents[2]
GOLDEN = ROOT / "tests" / "apps" / "golden" / "0.1.0"


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with a run or an export of each application, and their data."""
    home = tmp_path_factory.mktemp("demo")
    for name in ("sentiment", "chargen", "translation", "forecasting"):
        with tarfile.open(GOLDEN / f"{name}.tar.xz") as archive:
            archive.extractall(home, filter="data")
        kept = "run" if name == "forecasting" else "export"
        shutil.move(home / name / kept, home / f"models/{name}")
        for file in [*(home / name).glob("*.csv"), *(home / name).glob("*.t*")]:
            shutil.move(file, home / file.name)
    with eagerly():
        Tagger(epochs=1, max_examples=100, units=8, embedding_dim=8).fit(
            run_dir=home / "models/tagging"
        )
    return home


@contextlib.contextmanager
def demo(*arguments, home):
    """The address of a page in a process of its own, whose exports are kept in `home`."""
    environment = {**os.environ, "XDG_CACHE_HOME": str(home / "cache")}
    with subprocess.Popen(
        [*PROGRAM, *map(str, arguments), "--port", "0"],
        stdout=subprocess.PIPE, text=True, env=environment, cwd=home,
    ) as process:  # fmt: skip
        try:
            found = re.match(r"(http://127\.0\.0\.1:\d+)", process.stdout.readline())
            assert found, process.wait(10)
            yield found[1]
        finally:
            process.terminate()
            process.wait(30)


@pytest.fixture(scope="module")
def address(home):
    names = ("sentiment", "tagging", "chargen", "forecasting", "translation")
    with demo(*(f"models/{name}" for name in names), home=home) as found:
        assert {path.parent.name for path in home.glob("cache/rnnapps/demo/*/*/1")} == {
            "tagging",
            "forecasting",
        }
        yield found


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("there is no Chromium")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield browser
        browser.close()


class Visit:
    """A person on the page."""

    def __init__(self, browser, address, size="desktop", language="en-US"):
        width, height = SIZES[size]
        self.context = browser.new_context(
            viewport={"width": width, "height": height}, locale=language
        )
        self.page = self.context.new_page()
        self.page.set_default_timeout(60_000)
        self.requests = []
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(address)
        self.page.get_by_role("tab", name="sentiment").wait_for()

    def tab(self, name):
        """Opens a tab, also where a narrow page keeps it in a menu; returns its panel."""
        self.page.wait_for_timeout(300)
        tab = self.page.get_by_role("tab", name=name, exact=True)
        if not tab.is_visible():
            self.page.locator(".overflow-menu > button").click()
            self.page.locator(".overflow-dropdown button", has_text=name).click()
        else:
            tab.click()
        panel = self.page.locator("[role=tabpanel]:visible")
        panel.wait_for()
        return panel

    def picture(self, name):
        if folder := os.environ.get("RNNAPPS_SCREENSHOTS"):
            self.page.screenshot(path=pathlib.Path(folder, f"{name}.png"), full_page=True)

    def faults(self):
        """What axe-core finds that is serious or critical, in the light and in the dark."""
        axe, found = pytest.importorskip("axe_playwright_python.sync_playwright"), []
        for scheme in ("light", "dark"):
            self.page.emulate_media(color_scheme=scheme)
            dark = "!!document.querySelector('.dark')"
            self.page.wait_for_function(f"{dark} == {str(scheme == 'dark').lower()}")
            self.page.wait_for_timeout(500)  # colours change by and by
            found += axe.Axe().run(self.page).response["violations"]
        return [
            (one["id"], [node["html"][:150] for node in one["nodes"]][:3])
            for one in found
            if one["impact"] in ("serious", "critical")
        ]

    def leave(self):
        hosts = {urllib.parse.urlsplit(url).hostname for url in self.requests
                 if not url.startswith(("data:", "blob:"))}  # fmt: skip
        assert hosts == {"127.0.0.1"}, self.requests
        self.context.close()


@pytest.fixture(params=list(SIZES))
def visit(request, browser, address):
    visit = Visit(browser, address, request.param)
    visit.size = request.param
    yield visit
    wide = visit.page.evaluate("document.documentElement.scrollWidth - innerWidth")
    assert wide <= 0, "the page is wider than the window"
    visit.leave()


def test_sentiment(visit, tmp_path):
    panel = visit.tab("sentiment")
    box = panel.get_by_label("Text", exact=True)
    example = panel.locator(".gallery-item").first
    example.wait_for()
    example.click()
    visit.page.wait_for_function("box => box.value", arg=box.element_handle())
    assert box.input_value() == example.inner_text()
    box.fill("not a <b>good</b> film at all")
    panel.get_by_role("button", name="Classify").click()
    panel.locator(".rn-bar").first.wait_for()
    assert panel.locator(".rn-table th").all_inner_texts()[0] in ("good", "bad")
    words = panel.locator(".rn-text span")
    assert words.all_inner_texts() == ["not", "a", "<b>good</b>", "film", "at", "all"]
    assert re.fullmatch(r"[+-]\d\.\d{3}", words.first.get_attribute("title"))
    visit.picture(f"sentiment-{visit.size}")
    assert not visit.faults()
    panel.get_by_role("button", name="A table of texts").click()
    table = tmp_path / "mine.csv"
    table.write_text('id,text\n1,a dull film\n2,"great, at last"\n')
    panel.locator("input[type=file]").first.set_input_files(table)
    panel.get_by_text("mine").first.wait_for()
    panel.get_by_role("button", name="Answer the table").click()
    with visit.page.expect_download() as download:
        panel.get_by_role("button", name="Answers", exact=True).click()
    lines = pathlib.Path(download.value.path()).read_text().splitlines()
    assert lines[0] == "id,text,label,probability"
    assert lines[2].startswith('2,"great, at last",')


def test_tagging(visit):
    panel = visit.tab("tagging")
    panel.get_by_label("Text", exact=True).fill("Will May met April in Paris .")
    panel.get_by_role("button", name="Find spans").click()
    panel.locator(".rn-text").wait_for()
    assert "met" in panel.locator(".rn-text").inner_text()
    visit.picture(f"tagging-{visit.size}")
    assert not visit.faults()


def test_chargen_writes_and_stops(visit):
    panel = visit.tab("chargen")
    panel.get_by_label("Beginning").fill("The ")
    panel.get_by_label("number input for Length").fill("2000")
    began = time.monotonic()
    panel.get_by_role("button", name="Write").click()
    panel.locator(".rn-text span").first.wait_for()
    first = time.monotonic() - began
    panel.get_by_role("button", name="Stop").click()
    visit.page.wait_for_timeout(1500)
    length = len(panel.locator(".rn-text").inner_text())
    visit.page.wait_for_timeout(1500)
    assert len(panel.locator(".rn-text").inner_text()) == length < 1500
    assert panel.locator(".rn-text span").first.get_attribute("title").endswith(" bits")
    assert first < 10
    visit.picture(f"chargen-{visit.size}")
    assert not visit.faults()


def test_translation(visit):
    panel = visit.tab("translation")
    panel.get_by_label("Text", exact=True).fill("ein mann")
    panel.get_by_role("button", name="Translate").click()
    panel.locator(".rn-heat td").nth(1).wait_for()
    assert panel.locator(".rn-table td.number").first.inner_text().endswith("%")
    visit.picture(f"translation-{visit.size}")
    assert not visit.faults()


def test_forecasting(visit, tmp_path):
    panel = visit.tab("forecasting")
    panel.locator(".gallery-item").nth(1).click()  # of the last value
    visit.page.wait_for_function(
        "box => box.value == 0", arg=panel.get_by_role("spinbutton").element_handle()
    )
    panel.get_by_role("button", name="Forecast", exact=True).click()
    picture = panel.locator("svg[aria-label^='load:']")
    picture.wait_for()
    ink, line = [], picture.locator("path[style*='currentColor']").first
    for scheme in ("light", "dark"):
        visit.page.emulate_media(color_scheme=scheme)
        visit.page.wait_for_timeout(500)
        ink.append(line.evaluate("line => getComputedStyle(line).stroke"))
    assert ink[0] != ink[1]  # the chart has the colours of the page
    visit.picture(f"forecasting-{visit.size}")
    assert not visit.faults()
    with visit.page.expect_download() as download:
        panel.get_by_role("button", name="Forecast as CSV").click()
    lines = pathlib.Path(download.value.path()).read_text().splitlines()
    assert lines[0].startswith("time,target,forecast,q")
    table = tmp_path / "other.csv"
    table.write_text("when,price\n2020-01-01,1\n2020-01-02,2\n")
    panel.locator("input[type=file]").first.set_input_files(table)
    panel.get_by_text("other").first.wait_for()
    panel.get_by_role("button", name="Forecast", exact=True).click()
    message = visit.page.locator(".rn-error").first
    message.wait_for()
    assert message.inner_text() == (
        "other.csv has no column 'time' (--time-column); its columns are when, price."
    )


def test_ten_megabytes_are_a_sentence(browser, address):
    visit = Visit(browser, address)
    panel = visit.tab("sentiment")
    panel.get_by_label("Text", exact=True).evaluate(
        "box => { box.value = 'x '.repeat(5 * 2 ** 20);"
        " box.dispatchEvent(new Event('input', {bubbles: true})) }"
    )
    panel.get_by_role("button", name="Classify").click()
    message = visit.page.locator(".rn-error").first
    message.wait_for()
    assert (
        "Expected a text of at most 20,000 characters. Received: 10,485,760" in message.inner_text()
    )
    visit.leave()


def test_it_speaks_the_browsers_language_and_the_keyboard_is_enough(browser, address):
    visit = Visit(browser, address, language="zh-CN")
    panel = visit.tab("sentiment")
    panel.get_by_role("button", name="分类").wait_for()
    box = panel.get_by_label("文本", exact=True)
    box.focus()
    visit.page.keyboard.type("a great film")
    for _ in range(3):
        visit.page.keyboard.press("Tab")
        if visit.page.evaluate("document.activeElement.innerText") == "分类":
            break
    visit.page.keyboard.press("Enter")
    panel.locator(".rn-bar").first.wait_for()
    visit.leave()


def test_a_mistake_in_the_shell_is_a_sentence(home, capsys, monkeypatch):
    run = str(home / "models/tagging")
    for arguments, said in (
        ([], "Expected a run or an export after demo, such as runs/sentiment."),
        (["nowhere"], "nowhere does not exist; give a run directory"),
        (["tests"], "tests holds neither a run (config.toml) nor an export (saved_model.pb)"),
    ):
        assert cli.main(["demo", *arguments]) == 2
        assert capsys.readouterr().err.startswith(f"rnnapps: {said}")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setattr("rnnapps.demo.models.served", lambda _: contextlib.nullcontext([]))
        assert cli.main(["demo", run, "--port", str(port)]) == 2
    assert f"Cannot listen at 127.0.0.1:{port} (--port): Address already in use" in (
        capsys.readouterr().err
    )


def test_what_cannot_be_served_ends_the_page_with_a_sentence(home, tmp_path):
    shutil.copytree(home / "models/sentiment/1", tmp_path / "films/1")
    (tmp_path / "films/1/saved_model.pb").write_bytes(b"nothing")
    command = [*PROGRAM, tmp_path / "films", "--port", "0"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=home, timeout=120)
    assert done.returncode == 2
    last = done.stderr.splitlines()[-1]
    assert last.startswith(f"rnnapps: {tmp_path}/films/1 cannot be served: ")
    assert "Traceback" not in done.stderr


def test_without_gradio_it_says_what_to_install(home, tmp_path):
    for folder in (pathlib.Path(one) for one in sys.path if one.endswith("site-packages")):
        for path in folder.iterdir():
            if not path.name.startswith("gradio") and not (tmp_path / path.name).exists():
                (tmp_path / path.name).symlink_to(path)
    rest = [one for one in sys.path if not one.endswith("site-packages")]
    code = (
        f"import sys; sys.path[:] = {[*rest, str(tmp_path), str(ROOT)]!r}\n"
        "from rnnapps import cli; sys.exit(cli.main(sys.argv[1:]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "demo", home / "models/tagging"],
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "rnnapps: rnnapps demo needs gradio: pip install 'rnnapps[demo]'.\n"
