"""Training watched while it runs: what is written, and what a real browser shows of it."""

import importlib.util
import shutil
import socket
import subprocess
import sys
import time
import urllib.request

import pytest
from playwright.sync_api import sync_playwright
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from test_plots_page import BROWSERS
from test_resumed import Killed, killed_after
from test_train import fit

from tuner import train
from tuner.errors import UserError


def written(folder):
    """Return {tag: [(step, value), ...]} of TensorBoard's files, as TensorBoard reads them."""
    found = EventAccumulator(str(folder)).Reload()
    return {tag: [(point.step, point.value) for point in found.Scalars(tag)] for tag in found.Tags()["scalars"]}


def expected(curve):
    found = {}
    for split, rows in (("train", curve.training), ("validation", curve.validation)):
        for row in rows:
            for name in row.keys() - {"step"}:
                found.setdefault(f"{name}/{split}", []).append((row["step"], pytest.approx(row[name], rel=1e-6)))
    return found


def test_the_whole_curve_is_written_by_a_run_that_was_killed_and_went_on(tiny, runtime, tmp_path, monkeypatch):
    watch = tmp_path / "board" / "lora"
    (watch / "0").mkdir(parents=True)
    (watch / "0" / "events.out.tfevents.1.old").write_bytes(b"")
    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(train.Curve, "on_step_begin", killed_after(3))
        fit("lora", tiny, runtime, tmp_path, watch=watch)
    curve, _ = fit("lora", tiny, runtime, tmp_path, watch=watch)
    found = written(watch / "0")
    assert {"loss/train", "loss/validation", "learning_rate/train", "grad_norm/train"} <= found.keys()
    assert found == expected(curve)
    assert not (watch / "0" / "events.out.tfevents.1.old").exists()


def test_without_tensorboard_one_line_says_what_to_install(tiny, runtime, tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match="pip install -r requirements-tensorboard.txt"):
        fit("lora", tiny, runtime, tmp_path, watch=tmp_path / "board")


def test_a_browser_shows_the_runs_and_their_losses(tiny, runtime, tmp_path):
    fit("lora", tiny, runtime, tmp_path, watch=tmp_path / "board" / "lora")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "tensorboard.main", "--logdir", str(tmp_path / "board"), "--port", str(port)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(240):
            try:
                urllib.request.urlopen(f"{address}/data/runs").close()
                break
            except OSError:
                time.sleep(0.5)
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=next(filter(None, map(shutil.which, BROWSERS)), None), args=["--no-sandbox"]
            )
            page = browser.new_page(viewport={"width": 1200, "height": 900})
            page.goto(f"{address}/?tagFilter=loss#timeseries")  # it opens but two groups of curves by itself
            for text in ("lora/0", "loss/validation", "loss/train"):
                page.get_by_text(text).first.wait_for(timeout=120_000)
            page.screenshot(path=tmp_path / "board.png")
            browser.close()
    finally:
        server.terminate()
        server.wait()
    assert (tmp_path / "board.png").stat().st_size > 10_000
