"""Markup of the pages: what misleads screen readers (an empty header cell, roles that no longer exist), empty
lines at the end of code, and the links from the boxes of the lessons to the claims, which a notebook cannot know.
"""

import re

REPLACED = {
    "<th></th>": "<td></td>",  # pandas: the corner above the index
    ' role="doc-biblioentry"': "",  # docutils
    "\n\n\n</pre>": "\n</pre>",  # a part of a module, up to its next function
    '<div role="list" class="citation-list">': '<div class="citation-list">',  # its children are no list items
}


def tidy(app, pagename, templatename, context, doctree):
    if "body" not in context:
        return
    for old, new in REPLACED.items():
        context["body"] = context["body"].replace(old, new)
    context["body"] = re.sub(r'(std-term">[^<]*)((?:</\w+>)+)(e?s)\b', r"\1\3\2", context["body"])  # {term}`batch`es
    if "claims" in app.env.found_docs:
        page = context["pathto"]("claims")
        context["body"] = re.sub(
            r'(?<=<span class="claim-ids">)[^<]+',
            lambda ids: re.sub(
                r"\b([ABC]\d+)\b", lambda i: f'<a href="{page}#claim-{i[1].lower()}">{i[1]}</a>', ids[0]
            ),
            context["body"],
        )


def setup(app):
    app.connect("html-page-context", tidy)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
