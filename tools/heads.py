"""What others see of a page: its title, description and card where a link to it is shown, one viewport, and a page for
addresses that lead nowhere.
"""

import html
import re
from pathlib import Path
from urllib.parse import urljoin

from docutils import nodes

COURSE = "Epoch by epoch: a course on epoch, iteration, batch size and steps per epoch"
VIEWPORT = re.compile(r'\s*<meta\b[^>]*\bname="viewport"[^>]*>')
LONGEST = 200  # characters of a description; search engines show fewer
CARD = "_static/card.png"
NOWHERE = """<section><h1>This page is not here</h1>
<p>The address may be mistyped, or the page has moved. Go to the <a href="index.html">first page</a>, look at
<a href="claims.html">every claim, tested</a>, or search for a word.</p></section>"""


def description(doctree) -> str:
    """The first paragraph of a page, cut after a sentence; the course's own name where a page has none."""
    paragraphs = doctree.findall(
        lambda node: isinstance(node, nodes.paragraph) and isinstance(node.parent, nodes.section)
    )
    text = " ".join(next(paragraphs, nodes.paragraph("", COURSE)).astext().split()).replace("{,}", ",")
    kept = ""
    for sentence in re.split(r"(?<=[.?!:]) ", text):
        if kept and len(kept) + len(sentence) >= LONGEST:
            break
        kept = f"{kept} {sentence}".strip()
    return kept


def describe(app, pagename, templatename, context, doctree):
    """Title, description and card of one page."""
    if pagename == app.config.root_doc:
        context["title"], context["docstitle"] = COURSE, ""
    title = re.sub(r"<[^>]*>", "", context.get("title", COURSE))
    said = description(doctree) if doctree is not None else COURSE
    address = app.config.html_baseurl  # without one a card is found beside the page, by some readers of cards only
    image = urljoin(address, CARD) if address else context["pathto"](CARD, 1)
    fields = [
        ("name", "description", said),
        ("property", "og:type", "website"),
        ("property", "og:site_name", app.config.html_title),
        ("property", "og:title", html.unescape(title)),
        ("property", "og:description", said),
        ("property", "og:image", image),
        ("property", "og:image:alt", "10,000 samples in batches of 300, drawn to scale: 34 batches, the last of 100"),
        ("name", "twitter:card", "summary_large_image"),
    ]
    if address:
        fields.append(("property", "og:url", urljoin(address, f"{pagename}.html")))
    tags = [f'<meta {kind}="{name}" content="{html.escape(text)}" />' for kind, name, text in fields]
    context["metatags"] = "\n    ".join([context.get("metatags", ""), *tags])


def page_for_nowhere(app):
    yield "404", {"title": "This page is not here", "body": NOWHERE}, "page.html"


def one_viewport(app, exception):
    """Sphinx, docutils and the theme each write one."""
    if exception is None and app.builder.format == "html":
        for page in Path(app.outdir).rglob("*.html"):
            text = page.read_text(encoding="utf-8")
            first = VIEWPORT.search(text)
            if first and len(VIEWPORT.findall(text)) > 1:
                page.write_text(text[: first.end()] + VIEWPORT.sub("", text[first.end() :]), encoding="utf-8")


def setup(app):
    app.connect("html-page-context", describe, priority=700)
    app.connect("html-collect-pages", page_for_nowhere)
    app.connect("build-finished", one_viewport)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
