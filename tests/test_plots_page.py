"""The page of `dvc plots`, made by the real dvc and drawn by a real browser that has no network."""

import configparser
import io
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import sync_playwright

ROOT = Path(__file__).resolve().parent.parent
BROWSERS = ("chromium-headless-shell", "chromium", "google-chrome")
LOSSES = {"first": [2.0, 1.5, 1.2, 1.1, 1.05], "second": [1.9, 1.2, 0.9, 0.8, 0.78]}


def run(folder, *command):
    done = subprocess.run(
        [*map(str, command)],
        cwd=folder,
        env=os.environ | {"DVC_NO_ANALYTICS": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def write_losses(folder, losses):
    rows = [f"{step},{loss}" for step, loss in enumerate(losses)]
    (folder / "loss.csv").write_text("\n".join(["step,loss", *rows]) + "\n")


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A project with this one's .dvc/config and a plot that has changed since the last commit."""
    folder = tmp_path_factory.mktemp("plots")
    run(folder, "git", "init", "--quiet")
    run(folder, sys.executable, "-m", "dvc", "init", "--quiet")
    shutil.copy(ROOT / ".dvc/config", folder / ".dvc/config")
    (folder / ".venv").mkdir()
    run(ROOT, sys.executable, "docs/plots_page.py", folder / ".venv/plots.html")
    (folder / "dvc.yaml").write_text("plots:\n  - Loss: {x: step, y: {loss.csv: loss}}\n")
    write_losses(folder, LOSSES["first"])
    run(folder, "git", "add", "dvc.yaml", "loss.csv")
    run(folder, "git", "-c", "user.name=T", "-c", "user.email=t@example.org", "commit", "--quiet", "--message", "first")
    write_losses(folder, LOSSES["second"])
    return folder


@pytest.fixture(scope="module")
def browser():
    """Debian's Chromium, or the one `playwright install` fetched."""
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path)
        yield browser
        browser.close()


@pytest.fixture
def offline(browser):
    """Return (page, URLs it asked the network for, errors in its scripts) of a browser cut off from all but files."""
    context = browser.new_context()
    context.set_offline(True)
    asked, errors = [], []

    def let_files_through(route):
        if route.request.url.startswith("file:"):
            return route.continue_()
        asked.append(route.request.url)
        return route.abort()

    context.route("**/*", let_files_through)
    page = context.new_page()
    page.on("pageerror", lambda error: errors.append(str(error)))
    yield page, asked, errors
    context.close()


def plots(project, *arguments):
    """Run `dvc plots` and return the address it prints."""
    return re.search(r"^file://\S+$", run(project, sys.executable, "-m", "dvc", "plots", *arguments), re.M)[0]


def coloured(png: bytes) -> int:
    """Return how many pixels are neither white nor black nor grey: lines are coloured, axes and text are not."""
    pixels = Image.open(io.BytesIO(png)).convert("HSV").get_flattened_data()
    return sum(saturation > 100 for _, saturation, _ in pixels)


@pytest.mark.parametrize("command, drawn", [("show", ["second"]), ("diff", ["first", "second"])])
def test_the_plots_are_drawn_without_a_network(project, offline, tmp_path, command, drawn):
    page, asked, errors = offline
    page.goto(plots(project, command, "--out", tmp_path / "out"))
    page.wait_for_selector("canvas.marks")
    assert coloured(page.locator("canvas.marks").screenshot(path=tmp_path / "plot.png")) > 200 * len(drawn)

    # The same plot once more as SVG, with the points in its document. Over each faint line DVC draws a smoothed one.
    page.evaluate("document.body.append(Object.assign(document.createElement('div'), {id: 'svg'}))")
    page.evaluate("vegaEmbed('#svg', spec, {renderer: 'svg'}).then(() => null)")
    lines = page.locator("#svg .mark-line path[opacity='0.2']")
    paths = lines.evaluate_all("lines => lines.map(line => line.getAttribute('d'))")
    heights = [[float(y) for y in re.findall(r"[ML][^,]+,([-\d.e]+)", path)] for path in paths]
    assert [len(line) for line in heights] == [len(LOSSES[name]) for name in drawn]
    for line in heights:
        assert line == sorted(set(line)), "the losses fall, so the line goes down the page"

    assert (asked, errors) == ([], [])


def test_dvcs_own_page_would_not_pass(project, offline, tmp_path):
    """What the others rest on: the browser has no network, and a page that needs one is noticed."""
    from dvc_render.html import PAGE_HTML

    (tmp_path / "own.html").write_text(PAGE_HTML)
    page, asked, errors = offline
    page.goto(plots(project, "show", "--out", tmp_path / "out", "--html-template", tmp_path / "own.html"))
    assert {re.search(r"npm/([a-z-]+)@", url)[1] for url in asked} == {"vega", "vega-lite", "vega-embed"}
    assert any("vegaEmbed" in error for error in errors)
    assert page.locator("canvas").count() == 0


def test_make_install_writes_the_template_that_dvc_is_told_to_use():
    config = configparser.ConfigParser()
    config.read(ROOT / ".dvc/config")
    written = (ROOT / ".dvc" / config["plots"]["html_template"]).parent.resolve() / "plots.html"
    assert written == (ROOT / ".venv").resolve() / "plots.html"
    assert "python docs/plots_page.py .venv/plots.html" in run(ROOT, "make", "--dry-run", "--always-make", "install")
