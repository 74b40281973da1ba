"""Makes the pictures of the pages from a running demonstration: ``.venv/bin/python docs/pictures/make.py <link that it prints>``.

Debian's Chromium looks at each page in light and dark. A picture is at most 200 KB.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path
from typing import Any, Final, Literal
from urllib.parse import urlsplit

from playwright.sync_api import Browser, Page, sync_playwright

FOLDER: Final = Path(__file__).parent
MOST_BYTES: Final = 200 * 1024
WIDE, NARROW = {"width": 1280, "height": 800}, {"width": 390, "height": 800}
CUSTOMER: Final = "acme"
PAGES: Final = {
    "overview": "/",
    "explore": "/explore?group=SERVICE&compare=1&period=last-month",
    "resources": "/resources?period=last-month",
    "accounts": "/accounts",
}
THEMES: Final[tuple[Literal["light", "dark"], ...]] = ("light", "dark")


def main() -> None:
    """Sign in by the link, and make all pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("link", help="the one-time link that `optiinfra demo` or `optiinfra token link` prints")
    link = urlsplit(parser.parse_args().link)
    url = f"{link.scheme}://{link.netloc}"
    with sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        cookies = signed_in(browser, f"{url}{link.path}")
        for theme in THEMES:
            for size, screen in (("", WIDE), ("-narrow", NARROW)):
                context: Any = browser.new_context(color_scheme=theme, viewport=screen)  # type: ignore[arg-type]
                context.add_cookies(cookies)
                page = context.new_page()
                for name, path in PAGES.items():
                    if not size or name == "overview":
                        take(
                            page,
                            f"{url}{path}{'&' if '?' in path else '?'}customer={CUSTOMER}",
                            f"{name}-{theme}{size}",
                        )
                context.close()
        browser.close()


def signed_in(browser: Browser, link: str) -> Any:
    """The cookies of a session that the link opens."""
    with browser.new_context() as context:
        page = context.new_page()
        page.goto(link)
        page.click("button")
        page.wait_for_load_state()
        return context.cookies()


def take(page: Page, url: str, name: str) -> None:
    """Make one picture of what a screen shows first."""
    page.goto(url)
    page.wait_for_load_state("networkidle")
    if page.query_selector("#chart"):
        page.wait_for_selector("html[data-chart=drawn]")
    path = FOLDER / f"{name}.png"
    page.screenshot(path=path)
    size = path.stat().st_size
    if size > MOST_BYTES:
        raise SystemExit(f"{path.name} has {size} bytes, more than {MOST_BYTES}")


if __name__ == "__main__":
    main()
