"""Chromium driven by its DevTools protocol over a pipe: a few calls, and no package."""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
QUIET = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --no-default-browser-check "
    "--disable-background-networking --disable-component-update --disable-sync --hide-scrollbars --mute-audio"
).split()
#: Seconds after which the browser is taken to be stuck.
PATIENCE = 60.0


def found() -> str | None:
    """The path of a Chromium, or None."""
    return next((path for name in PROGRAMS if (path := shutil.which(name))), None)


@contextmanager
def browser() -> Iterator[Tab]:
    """One tab of a fresh browser, which is closed at the end (RuntimeError where there is none)."""
    program = found()
    if program is None:
        raise RuntimeError(f"no browser was found; looked for {', '.join(PROGRAMS)}")
    mine, theirs = os.pipe(), os.pipe()
    # Some helper process may still write to the profile when the browser itself has ended.
    with TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        # The protocol's pipe is file descriptors 3 (commands) and 4 (answers).
        command = f'exec "$0" "$@" 3<&{theirs[0]} 4>&{mine[1]}'
        arguments = [program, *QUIET, f"--user-data-dir={profile}", "--remote-debugging-pipe", "about:blank"]
        process = subprocess.Popen(
            ["bash", "-c", command, *arguments],
            pass_fds=(theirs[0], mine[1]),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(theirs[0])
        os.close(mine[1])
        try:
            yield Tab(mine[0], theirs[1])
        finally:
            process.terminate()
            os.close(mine[0])
            os.close(theirs[1])
            process.wait(PATIENCE)


UNTIL = """(async () => {
  for (let tries = 0; tries < 500 && !(CONDITION); tries++) await new Promise(done => setTimeout(done, 20));
  return CONDITION;
})()"""


class Tab:
    """One tab: it goes to pages, evaluates JavaScript, presses keys, and notes what the console says."""

    def __init__(self, answers: int, commands: int):
        self._answers, self._commands = answers, commands
        self._read, self._count = b"", 0
        self._events: list[dict[str, Any]] = []
        self._session = ""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: object) -> dict[str, Any]:
        """One command of the protocol, and its result (RuntimeError for what the browser refuses)."""
        self._count += 1
        message = {"id": self._count, "method": method, "params": parameters}
        message |= {"sessionId": self._session} if self._session else {}
        os.write(self._commands, json.dumps(message).encode() + b"\0")
        while (answer := self._next()).get("id") != self._count:
            self._events.append(answer)
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']['message']}")
        return dict(answer["result"])

    def _next(self) -> dict[str, Any]:
        end = time.monotonic() + PATIENCE
        while b"\0" not in self._read:
            ready, _, _ = select.select([self._answers], [], [], max(0.0, end - time.monotonic()))
            more = os.read(self._answers, 1 << 20) if ready else b""
            if not more:
                raise RuntimeError("the browser does not answer")
            self._read += more
        message, _, self._read = self._read.partition(b"\0")
        return dict(json.loads(message))

    def open(self, url: str) -> None:
        """Load a page anew and wait until it is there, fonts and all."""
        self._go("about:blank")  # or another anchor of the same page would load nothing
        self._go(url)
        self.run("document.fonts.ready.then(() => true)")

    def follow(self, script: str) -> None:
        """Evaluate JavaScript that leads to another page, after the answer, and wait until that page is there."""
        self._events.clear()
        self.run(f"setTimeout(() => {{ {script} }}, 0), true")
        self._loaded()

    def _go(self, url: str) -> None:
        self._events.clear()
        self.call("Page.navigate", url=url)
        self._loaded()

    def _loaded(self) -> None:
        while not any(event.get("method") == "Page.loadEventFired" for event in self._events):
            self._events.append(self._next())

    def complaints(self) -> list[str]:
        """Errors and warnings of the console, exceptions, and requests that failed, since the page was opened."""
        out = []
        for event in self._events:
            method, data = event.get("method"), event.get("params", {})
            if method == "Runtime.exceptionThrown":
                out.append(str(data["exceptionDetails"].get("exception", data["exceptionDetails"])))
            elif method == "Runtime.consoleAPICalled" and data["type"] in ("error", "warning"):
                out.append(str(data["args"]))
            elif method == "Log.entryAdded" and data["entry"]["level"] in ("error", "warning"):
                out.append(data["entry"]["text"])
            elif method == "Network.loadingFailed" and not data.get("canceled"):
                out.append(f"request failed: {data['errorText']}")
        return out

    def requests(self) -> list[str]:
        """The addresses that were asked for since the page was opened."""
        return [e["params"]["request"]["url"] for e in self._events if e.get("method") == "Network.requestWillBeSent"]

    def run(self, script: str) -> Any:
        """The value of a JavaScript expression (RuntimeError if it throws); promises are waited for."""
        answer = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True, userGesture=True)
        if "exceptionDetails" in answer:
            raise RuntimeError(f"{script}: {answer['exceptionDetails']['exception'].get('description')}")
        return answer["result"].get("value")

    def until(self, condition: str) -> None:
        """Wait until a JavaScript expression is true (AssertionError if it stays false)."""
        assert self.run(UNTIL.replace("CONDITION", condition)), condition

    def press(self, key: str, code: int) -> None:
        """Press and release a key, given by its name and its number."""
        text = {"text": "\r"} if key == "Enter" else {}
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code, **text)

    def resize(self, width: int, height: int = 900) -> None:
        """Make the window this wide; up to 500 pixels it is a phone's."""
        phone = width <= 500
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=phone)

    def prefer(self, theme: str) -> None:
        """Have the system prefer the ``light`` or the ``dark`` theme."""
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": theme}])

    def forget(self) -> None:
        """Drop what pages have stored."""
        self._go("about:blank")
        self.call("Storage.clearDataForOrigin", origin="file://", storageTypes="all")

    def allow_clipboard(self) -> None:
        """Let pages read and write the clipboard, as one does that a person has clicked into."""
        self.call("Emulation.setFocusEmulationEnabled", enabled=True)
        for name in ("clipboard-read", "clipboard-write"):
            self.call("Browser.setPermission", permission={"name": name}, setting="granted")

    def screenshot(self, path: Path, *, height: int | None = None) -> None:
        """Write a picture of the page, of its first ``height`` pixels or whole."""
        size = self.call("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": height or size["height"], "scale": 1}
        data = self.call("Page.captureScreenshot", format="png", clip=clip, captureBeyondViewport=True)["data"]
        path.write_bytes(base64.b64decode(data))
