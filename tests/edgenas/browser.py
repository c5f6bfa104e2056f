"""A headless Chromium for tests: opens pages and evaluates JavaScript in them, over the pipe of its debugger."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import subprocess
import tempfile
import time
from types import TracebackType
from typing import Any

BROWSERS = ("chromium", "chromium-browser", "google-chrome")


def browser_program() -> str | None:
    """The first that is installed."""
    return next(filter(None, map(shutil.which, BROWSERS)), None)


class Browser:
    """A context manager. ``open`` a page, then ``read`` expressions of it."""

    def __init__(self, program: str) -> None:
        self._program = program
        self._folder = tempfile.TemporaryDirectory(prefix="edgenas-browser-", ignore_cleanup_errors=True)
        self._number = 0
        self._left = b""
        self._session = ""

    def __enter__(self) -> Browser:
        (its_in, our_out), (our_in, its_out) = os.pipe(), os.pipe()
        # The debugger's pipe is descriptors 3 and 4; ours must be neither when they are put there.
        high = [fcntl.fcntl(number, fcntl.F_DUPFD, 20) for number in (its_in, its_out)]

        def hand_over() -> None:
            os.dup2(high[0], 3)
            os.dup2(high[1], 4)

        options = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--remote-debugging-pipe")
        self._process = subprocess.Popen(
            [self._program, *options, f"--user-data-dir={self._folder.name}", "--window-size=1280,900"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            preexec_fn=hand_over,
            pass_fds=(3, 4),
            start_new_session=True,
        )
        for number in (its_in, its_out, *high):
            os.close(number)
        self._out, self._in = our_out, our_in
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._out)
        os.close(self._in)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, 9)
        self._process.wait()
        self._folder.cleanup()

    def open(self, url: str) -> None:
        """A new page; :meth:`read` is about this one from now on."""
        target = self._call("Target.createTarget", {"url": url}, session="")["targetId"]
        answer = self._call("Target.attachToTarget", {"targetId": target, "flatten": True}, session="")
        self._session = answer["sessionId"]

    def read(self, expression: str) -> Any:
        """The value of an expression of JavaScript as JSON has it; None while the page is being loaded."""
        answer = self._call("Runtime.evaluate", {"expression": expression, "returnByValue": True})
        return answer.get("result", {}).get("value")

    def wait_for(self, expression: str, seconds: float = 120.0) -> Any:
        """The value of an expression as soon as it is true."""
        deadline = time.monotonic() + seconds
        while not (found := self.read(expression)):
            assert time.monotonic() < deadline, (
                f"{expression}: {found!r}; the page: {self.read('document.body.innerText')}"
            )
            time.sleep(0.2)
        return found

    def _call(self, method: str, params: dict[str, Any], session: str | None = None) -> dict[str, Any]:
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": params}
        if session is None:
            message["sessionId"] = self._session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self._number:
                return dict(answer.get("result", {}))

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._left:
            part = os.read(self._in, 1 << 16)
            if not part:
                raise RuntimeError("the browser ended")
            self._left += part
        text, _, self._left = self._left.partition(b"\0")
        return dict(json.loads(text))
