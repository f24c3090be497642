"""Leave out scripts that a page does not need: Thebe (this book has no live kernel), second copies, and icons.

The theme loads Font Awesome twice, as a font and as a script that draws the same icons
again. The script has 0.5 MB, compressed, and the page waits for it.
"""

import re
from pathlib import Path


def tidy(app, pagename, templatename, context, doctree):
    kept = {}
    for script in context.get("script_files", []):
        what = getattr(script, "attributes", {}).get("body") or str(getattr(script, "filename", script))
        if "thebe" not in what.lower():
            kept.setdefault(what, script)
    context["script_files"] = list(kept.values())


def drop_icon_script(app, exception):
    if exception is None and app.builder.format == "html":
        for page in Path(app.outdir).rglob("*.html"):  # it stands in the theme's own template
            text = page.read_text(encoding="utf-8")
            tidied = re.sub(r'<script src="[^"]*/fontawesome\.js[^"]*"></script>', "", text)
            if tidied != text:
                page.write_text(tidied, encoding="utf-8")


def setup(app):
    app.connect("html-page-context", tidy, priority=900)
    app.connect("build-finished", drop_icon_script)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
