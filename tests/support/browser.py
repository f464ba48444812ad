"""A real Chromium for pages that this product serves: what it asked for, and what it complained about, is kept.

with chromium_page() as browser:
    browser.page.goto(url)
    browser.require_clean(host)
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import pytest

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
PATIENCE_MS = 60_000  # of a busy machine


@dataclass
class Browser:
    """page: Playwright's. requests: every URL that it asked for. complaints: of console, scripts and the CSP."""

    page: Any
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def require_clean(self, host: str, expected: tuple[str, ...] = ()) -> None:
        """No request to another host, and no complaint but expected ones."""
        others = [url for url in self.requests if urlsplit(url).netloc != host and urlsplit(url).scheme != "data"]
        assert others == []
        assert [text for text in self.complaints if not any(part in text for part in expected)] == []


@contextmanager
def chromium_page() -> Iterator[Browser]:
    """Skips the test, and says why, where there is no Chromium or no Playwright."""
    program = next((path for name in PROGRAMS if (path := shutil.which(name))), None)
    if program is None:
        pytest.skip("no Chromium is installed (Debian: chromium), so no page is tried in it")
    api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed: pip install '.[dev]'")
    with api.sync_playwright() as playwright:
        # Inside of a container Chromium's own sandbox has no rights; the only pages are ours.
        chromium = playwright.chromium.launch(executable_path=program, chromium_sandbox=False, timeout=PATIENCE_MS)
        try:
            page = chromium.new_page(viewport={"width": 1500, "height": 900})
            page.set_default_timeout(PATIENCE_MS)
            browser = Browser(page)
            page.on("request", lambda request: browser.requests.append(request.url))
            page.on("pageerror", lambda error: browser.complaints.append(str(error)))
            page.on(
                "console",
                lambda message: message.type in ("error", "warning") and browser.complaints.append(message.text),
            )
            yield browser
        finally:
            chromium.close()
