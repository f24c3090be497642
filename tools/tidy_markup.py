"""Markup of other packages that misleads screen readers: an empty header cell, and roles that no longer exist."""

REPLACED = {
    "<th></th>": "<td></td>",                                              # pandas: the corner above the index
    ' role="doc-biblioentry"': "",                                         # docutils
    '<div role="list" class="citation-list">': '<div class="citation-list">',  # its children are no list items
}


def tidy(app, pagename, templatename, context, doctree):
    for old, new in REPLACED.items():
        if "body" in context:
            context["body"] = context["body"].replace(old, new)


def setup(app):
    app.connect("html-page-context", tidy)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
