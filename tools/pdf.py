"""The whole book as one PDF, printed by Chromium from its built pages and joined, with bookmarks and inner links.

python tools/pdf.py [BOOK.pdf]   from _build/html, by default into _build/epoch-by-epoch.pdf
"""

import io
import re
import sys
from pathlib import Path
from urllib.parse import unquote

from playwright.sync_api import sync_playwright
from pypdf import PdfReader, PdfWriter
from pypdf.generic import ArrayObject, FloatObject, NameObject, NullObject

from book.contents import Page, parts, read_page

ROOT = Path(__file__).resolve().parents[1]
BROWSERS = (
    "/usr/bin/chromium",
    "/usr/bin/chromium-browser",
    "/usr/bin/google-chrome",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
)
FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
PAPER = {"format": "A4", "prefer_css_page_size": True, "print_background": True, "tagged": False}
# Chromium gives a place in the file only to what is linked from the same page: link what others link to, out of sight.
LINK = """ids => document.body.insertAdjacentHTML("beforeend", `<div style="position: absolute; left: -99in">${
    ids.map(id => `<a href="#${id}">.</a>`).join("")}</div>`)"""


def chromium() -> str:
    """Where the browser is; ends the program if there is none."""
    found = next((path for path in BROWSERS if Path(path).exists()), None)
    if found is None:
        sys.exit("Chromium is not installed, and it prints the pages; on Debian: apt-get install chromium")
    return found


def linked_from_others(html: Path) -> dict[Path, set[str]]:
    """The places in each page that another page of the book links to."""
    found: dict[Path, set[str]] = {}
    for page in html.rglob("*.html"):
        for address, place in re.findall(r'href="([^"#:]+\.html)#([\w.-]+)"', page.read_text(encoding="utf-8")):
            found.setdefault((page.parent / address).resolve(), set()).add(place)
    return found


def printed(browser, page: Path, places: set[str]) -> bytes:
    """One page as a PDF, when its formulas are set."""
    tab = browser.new_page(viewport={"width": 1000, "height": 1400}, color_scheme="light")
    tab.goto(page.as_uri())
    tab.wait_for_load_state("load")
    tab.evaluate("window.MathJax?.startup?.promise")
    tab.evaluate(LINK, sorted(places))
    content = tab.pdf(**PAPER)
    tab.close()
    return content


def join(pdfs: dict[Path, bytes], captions: dict[str | None, list[tuple[str, Path]]]) -> PdfWriter:
    """One PDF of the printed pages. Bookmarks are by part and page; links between pages lead to their places in it.

    Parameters
    ----------
    pdfs : dict
        The printed pages by their files in the built book, in order.
    captions : dict
        For each part, or None for pages in none, the titles and files of its pages.
    """
    writer = PdfWriter()
    first, places = {}, {}
    for file, content in pdfs.items():
        reader = PdfReader(io.BytesIO(content))
        first[file] = len(writer.pages)
        for name, place in reader.named_destinations.items():
            there = first[file] + reader.get_destination_page_number(place)
            places[file, name.lstrip("/")] = (there, float(place.top or 0))
        for page in reader.pages:
            writer.add_page(page)
    starts = sorted(first.items(), key=lambda item: item[1])
    for number, page in enumerate(writer.pages):
        own = [file for file, start in starts if start <= number][-1]
        for annotation in page.get("/Annots", []):
            lead(writer, annotation.get_object(), own, first, places)
    for caption, its in captions.items():
        parent = None
        for title, file in its:
            if parent is None and caption is not None:
                parent = writer.add_outline_item(title=caption, page_number=first[file])
            writer.add_outline_item(title=title, page_number=first[file], parent=parent)
    writer.compress_identical_objects()
    return writer


def lead(writer: PdfWriter, link, own: Path, first: dict, places: dict):
    """Make a link to a page of the book, or within one, a link within the PDF; others stay, but none to a file."""
    address = str(link.get("/A", {}).get("/URI", ""))
    if "/Dest" in link:
        file, place = own, str(link["/Dest"]).lstrip("/")
    elif address.startswith("file:"):
        path, _, place = unquote(address.removeprefix("file://")).partition("#")
        file = Path(path)
    else:
        return
    for key in ("/A", "/Dest"):
        link.pop(key, None)
    if file in first:
        number, top = places.get((file, place), (first[file], None))
        top = NullObject() if top is None else FloatObject(top)
        there = [writer.pages[number].indirect_reference, NameObject("/XYZ"), NullObject(), top, NullObject()]
        link[NameObject("/Dest")] = ArrayObject(there)


def make(html: Path, target: Path, pages: dict[str | None, list[Page]]) -> PdfWriter:
    """Print the pages of a built book and write them as one file."""
    places = linked_from_others(html)
    captions = {
        caption: [(page.heading, (html / f"{page.name}.html").resolve()) for page in its]
        for caption, its in pages.items()
    }
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
        pdfs = {file: printed(browser, file, places.get(file, set())) for its in captions.values() for _, file in its}
        browser.close()
    writer = join(pdfs, captions)
    writer.add_metadata({"/Title": "Epoch by epoch", "/Author": "The course authors"})
    target.parent.mkdir(parents=True, exist_ok=True)
    writer.write(target)
    return writer


def main():
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "_build/epoch-by-epoch.pdf"
    writer = make(ROOT / "_build/html", target, {None: [read_page(ROOT, "index")], **parts(ROOT)})
    print(f"{target}: {len(writer.pages)} pages, {target.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
