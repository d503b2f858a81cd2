"""A real browser for tests: Debian's chromium through selenium. Without it tests skip, and say so, unless it is required."""

import json
import os
import shutil

import pytest

MISSING = "no chromium here: apt-get install chromium chromium-driver"


def opened(width: int = 1280, height: int = 1400, dark: bool = False, touch: bool = False):
    """A browser without a window."""
    program, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if program is None or driver is None:
        if os.environ.get("RTRL_REQUIRE_BROWSER"):
            pytest.fail(MISSING)
        pytest.skip(MISSING)
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = program
    for word in ("headless=new", "no-sandbox", "disable-dev-shm-usage", "disable-gpu", f"window-size={width},{height}"):
        options.add_argument(f"--{word}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    if touch:
        metrics = {"width": width, "height": height, "pixelRatio": 2, "touch": True}
        options.add_experimental_option("mobileEmulation", {"deviceMetrics": metrics})
    browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    if dark:
        features = [{"name": "prefers-color-scheme", "value": "dark"}]
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    return browser


def complaints(browser) -> list[str]:
    """What the page wrote to the console as a warning or an error."""
    return [entry["message"] for entry in browser.get_log("browser") if entry["level"] in ("WARNING", "SEVERE")]


def pixels(browser, canvas: str) -> str:
    """The picture on a canvas, to be compared with another."""
    return browser.execute_script(f"return document.getElementById({json.dumps(canvas)}).toDataURL()")
