"""A real browser for tests: Debian's Chromium without a window, driven over the DevTools protocol.

https://chromedevtools.github.io/devtools-protocol/
"""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

from loopback import HANG, eventually, real_clock
from websockets.sync.client import ClientConnection, connect

EXECUTABLE = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
MISSING = "no Chromium on this machine: install Debian's package chromium"


class Tab:
    """One tab of the browser."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._numbers = count(1)
        self.events: list[dict[str, Any]] = []

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Call a method of the protocol and return its result."""
        number = next(self._numbers)
        self._socket.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while True:
            message: dict[str, Any] = json.loads(self._socket.recv(HANG))
            if message.get("id") == number:
                assert "error" not in message, message
                result: dict[str, Any] = message["result"]
                return result
            self.events.append(message)

    def run(self, script: str) -> Any:
        """Run JavaScript in the page, wait for its promise, and return its value."""
        answer = self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def open(self, url: str) -> None:
        """Go to `url` as if it was typed, and wait until the page is there."""
        self.call("Page.navigate", url=url)
        self.until("document.readyState === 'complete' && location.href !== 'about:blank'")

    def until(self, condition: str) -> None:
        """Wait until `condition` holds in the page, also across navigations."""

        def holds() -> bool:
            answer = self.call("Runtime.evaluate", expression=f"Boolean({condition})", returnByValue=True)
            return answer["result"].get("value") is True

        assert eventually(holds), condition

    def press(self, selector: str) -> None:
        """Press a button or follow a link."""
        self.run(f"document.querySelector({json.dumps(selector)}).click()")


@contextmanager
def chromium(*arguments: str) -> Iterator[Tab]:
    """The browser with an empty profile and one tab."""
    with tempfile.TemporaryDirectory(prefix="optiinfra-chromium-", ignore_cleanup_errors=True) as profile:
        own = ["--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
        port = ["--remote-debugging-port=0", f"--user-data-dir={profile}", *arguments, "about:blank"]
        process = subprocess.Popen(
            [str(EXECUTABLE), *own, *port], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=real_clock()
        )
        try:
            chosen = Path(profile) / "DevToolsActivePort"
            assert eventually(lambda: chosen.exists() and len(chosen.read_text().split()) == 2, pause=0.05)
            number, path = chosen.read_text().split()
            with connect(f"ws://127.0.0.1:{number}{path}", max_size=None, close_timeout=1) as browser:
                found = Tab(browser).call("Target.getTargets")["targetInfos"]
                (page,) = (one["targetId"] for one in found if one["type"] == "page")
            with connect(f"ws://127.0.0.1:{number}/devtools/page/{page}", max_size=None, close_timeout=1) as socket:
                tab = Tab(socket)
                for domain in ("Page", "Runtime", "Network", "Log"):
                    tab.call(f"{domain}.enable")
                yield tab
        finally:
            process.kill()
            process.wait(HANG)
