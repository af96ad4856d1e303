"""Drives headless Chromium by its driver, over the WebDriver protocol."""
import base64
import json
import os
import re
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

SECONDS = 30  # in which things happen that happen at once, on a busy machine

ARGUMENTS = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-extensions",
             "--disable-background-networking", "--disable-component-update", "--disable-default-apps", "--disable-sync",
             "--no-first-run", "--no-default-browser-check", "--window-size=1280,900", "--force-device-scale-factor=1"]

# Keys of the WebDriver protocol.
ENTER, ESCAPE, SHIFT, TAB, LEFT, RIGHT = "\ue007", "\ue00c", "\ue008", "\ue004", "\ue012", "\ue014"

ELEMENT = "element-6066-11e4-a52e-4f735466cecf"


class Browser:
    """A browser with a profile of its own, which is gone when it ends."""

    def __init__(self):
        self.profile = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        self.driver = subprocess.Popen(["chromedriver", "--port=0"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                       stderr=subprocess.DEVNULL, env={**os.environ, "HOME": self.profile.name})
        try:
            for line in self.driver.stdout:
                started = re.search(rb"started successfully on port (\d+)", line)
                if started:
                    break
            self.url = f"http://127.0.0.1:{int(started[1])}/session"
            options = {"args": [*ARGUMENTS, f"--user-data-dir={self.profile.name}"]}
            self.url += "/" + self.call("POST", "", {"capabilities": {"alwaysMatch": {
                "goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"}}}})["sessionId"]
        except BaseException:
            self.end()
            raise

    def end(self):
        try:
            if "session/" in getattr(self, "url", ""):
                self.call("DELETE", "")
        finally:
            self.driver.terminate()
            self.driver.wait()
            self.driver.stdout.close()
            self.profile.cleanup()

    def call(self, method, path, body=None):
        """Returns the value of a response. Raises AssertionError with the driver's words."""
        data = None if method != "POST" else json.dumps(body or {}).encode()
        request = urllib.request.Request(self.url + path, data=data, method=method, headers={"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=2 * SECONDS) as response:
                return json.load(response)["value"]
        except urllib.error.HTTPError as error:
            raise AssertionError(json.load(error)["value"]["message"]) from None

    def devtools(self, command, **parameters):
        return self.call("POST", "/goog/cdp/execute", {"cmd": command, "params": parameters})

    def open(self, url):
        self.call("POST", "/url", {"url": url})

    def reload(self):
        self.call("POST", "/refresh")

    def tab(self):
        """The tab that the calls are for."""
        return self.call("GET", "/window")

    def add_tab(self):
        return self.call("POST", "/window/new", {"type": "tab"})["handle"]

    def switch(self, tab):
        self.call("POST", "/window", {"handle": tab})

    def close_tab(self, tab):
        self.switch(tab)
        self.call("DELETE", "/window")

    def run(self, script, *arguments):
        """Runs the body of an asynchronous function in the page, and returns its value."""
        script = f"return (async function () {{ {script} }}).apply(null, arguments)"
        return self.call("POST", "/execute/sync", {"script": script, "args": list(arguments)})

    def wait(self, script, *arguments, seconds=SECONDS):
        """Waits until the script returns a value that is true, and returns it."""
        deadline = time.monotonic() + seconds
        while True:
            value = self.run(script, *arguments)
            if value:
                return value
            if time.monotonic() > deadline:
                raise AssertionError(f"never true: {script} {arguments}\n" + self.run("return document.body.innerText"))
            time.sleep(0.02)

    def element(self, selector):
        """Waits for an element that is shown."""
        return self.wait("return [...document.querySelectorAll(arguments[0])].find((one) => one.checkVisibility())", selector)

    def click(self, selector):
        self.call("POST", f"/element/{self.element(selector)[ELEMENT]}/click")

    def type(self, selector, text):
        self.call("POST", f"/element/{self.element(selector)[ELEMENT]}/value", {"text": text})

    def keys(self, *names):
        """Presses keys one after the other, wherever the focus is."""
        actions = [{"type": kind, "value": name} for name in names for kind in ("keyDown", "keyUp")]
        self.call("POST", "/actions", {"actions": [{"type": "key", "id": "keys", "actions": actions}]})

    def hover(self, selector):
        element = self.element(selector)
        self.call("POST", "/actions", {"actions": [{"type": "pointer", "id": "mouse", "actions": [
            {"type": "pointerMove", "x": 0, "y": 0, "origin": element}]}]})

    def size(self, width, height):
        self.devtools("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 500)

    def colours(self, scheme):
        self.devtools("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def screenshot(self, path):
        with open(path, "wb") as file:
            file.write(base64.b64decode(self.call("GET", "/screenshot")))

    def log(self, kind):
        """The entries of the log since the last call."""
        return self.call("POST", "/se/log", {"type": kind})
