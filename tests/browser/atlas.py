"""The atlas of the core, built once for a test run, and a browser that is reset for each test."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from codegen.commands.places import NODE
from tests.browser.chromium import Tab, browser, found
from tests.long import CORE, OPS

__all__ = ["OPS", "address", "chromium", "needs_browser", "needs_katex", "site", "tab"]

needs_katex = pytest.mark.skipif(
    shutil.which("node") is None or not (NODE / "node_modules/katex").is_dir(),
    reason="Node.js or KaTeX is not installed (`make atlas` installs KaTeX)",
)
needs_browser = pytest.mark.skipif(found() is None, reason="Chromium is not installed")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The atlas of the core, built once for all processes of a test run."""
    shared = tmp_path_factory.getbasetemp()
    shared = shared.parent if "PYTEST_XDIST_WORKER" in os.environ else shared
    folder, done = shared / "atlas", shared / "atlas-done"
    with (shared / "atlas-lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            from codegen.__main__ import main

            assert main(["atlas", "--quick", "--out", str(folder), *CORE]) == 0
            done.touch()
    return folder


@pytest.fixture(scope="module")
def chromium() -> Iterator[Tab]:
    with browser() as tab:
        yield tab


@pytest.fixture
def tab(chromium: Tab) -> Tab:
    """The browser with a wide window, a light theme, and nothing remembered."""
    chromium.resize(1440)
    chromium.prefer("light")
    chromium.forget()
    return chromium


def address(site: Path, page: str, anchor: str = "") -> str:
    return (site / f"{page}.html").as_uri() + (f"#{anchor}" if anchor else "")
