"""docs/report.png: the HTML report of the broken demo, its head and its list, as Chromium shows them."""

from __future__ import annotations

import io
import os
import sys
import tempfile
from pathlib import Path

from broken_demo import write
from browser import FLAGS, find_browser
from PIL import Image
from playwright.sync_api import sync_playwright

from validators.engine import CheckOptions, check
from validators.report.html.page import render
from validators.report.model import Layout

PICTURE = Path(__file__).resolve().parent.parent / "docs" / "report.png"
WIDTH, LIST_HEIGHT, GAP = 1200, 900, 24
MOST_BYTES = 200_000
COLOURS = 160


def shots(file: Path) -> list[Image.Image]:
    """The page from its top to the end of the lengths, and the list with a row opened."""
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=find_browser(), args=list(FLAGS))
        page = browser.new_page(viewport={"width": WIDTH, "height": LIST_HEIGHT}, color_scheme="light")
        page.goto(file.as_uri())
        end = page.locator("#lengths").bounding_box()
        assert end is not None
        head = page.screenshot(
            full_page=True, clip={"x": 0, "y": 0, "width": WIDTH, "height": end["y"] + end["height"] + GAP}
        )
        page.click("#mode-rows")
        page.select_option("#by-dataset", label="pictures")
        page.locator(".item").nth(2).click()
        page.mouse.move(0, 0)
        page.evaluate("document.querySelector('.bar').hidden = true")
        page.locator("#explorer").scroll_into_view_if_needed()
        box = page.locator("#explorer").bounding_box()
        assert box is not None
        top = page.evaluate("scrollY") + box["y"] - GAP
        size = {"x": 0, "y": top, "width": WIDTH, "height": box["height"] + 2 * GAP}
        browse = page.screenshot(full_page=True, clip=size)
        browser.close()
    return [Image.open(io.BytesIO(shot)).convert("RGB") for shot in (head, browse)]


def main() -> int:
    """Write the picture."""
    if find_browser() is None:
        print("screenshot: no Chromium: run scripts/browser.py", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        report = check(str(write(Path())), CheckOptions(previews=300))
        file = Path(folder) / "report.html"
        file.write_text(render([report], Layout(Path(folder))), encoding="utf-8")
        parts = shots(file)
    whole = Image.new("RGB", (WIDTH, sum(part.height for part in parts)), parts[0].getpixel((0, parts[0].height - 1)))
    at = 0
    for part in parts:
        whole.paste(part, (0, at))
        at += part.height
    whole.quantize(COLOURS, dither=Image.Dither.NONE).save(PICTURE, optimize=True)
    print(f"{PICTURE.name}: {whole.width} × {whole.height}, {PICTURE.stat().st_size} bytes")
    return int(PICTURE.stat().st_size > MOST_BYTES)


if __name__ == "__main__":
    raise SystemExit(main())
