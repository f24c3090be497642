"""Markup of the pages: what misleads screen readers (an empty header cell, roles that no longer exist), empty lines at
the end of code, the row numbers of pandas, and the links from the boxes of the lessons to the claims, which a notebook
cannot know.
"""

import re

REPLACED = {
    "<th></th>": "<td></td>",  # pandas: the corner above the index
    ' role="doc-biblioentry"': "",  # docutils
    ' aria-label="Toggle hidden content"': "",  # MyST-NB; the text says it better, and is what a reader says aloud
    "\n\n\n</pre>": "\n</pre>",  # a part of a module, up to its next function
    '<div role="list" class="citation-list">': '<div class="citation-list">',  # its children are no list items
}
TABLE = re.compile(r'<table\b[^>]*class="dataframe\b.*?</table>', re.DOTALL)  # as pandas writes a DataFrame
CORNER = re.compile(r"(<tr[^>]*>)\s*<th></th>")
ROW_HEADERS = re.compile(r"(<tr[^>]*>)((?:\s*<th\b[^>]*>.*?</th>)+)(?=\s*<td)", re.DOTALL)


def without_row_numbers(table: str) -> str:
    """A DataFrame's markup without its index, if that has no name and only counts the rows from 0."""
    head, body = table.split("<tbody>", 1)
    counted = [re.sub(r"\s+|<[^>]*>", "", row[2]) for row in ROW_HEADERS.finditer(body)]
    if len(CORNER.findall(head)) < head.count("<tr") or not _counts_from_0(counted):  # a name would stand there
        return table
    return CORNER.sub(r"\1", head) + "<tbody>" + ROW_HEADERS.sub(r"\1", body)


def _counts_from_0(labels: list[str]) -> bool:
    """Whether labels are 0, 1, 2, ...; a row of dots, as in a long table, stands for any number of rows."""
    dots = labels.index("...") if "..." in labels else len(labels)
    end = labels[dots + 1 :]
    first = int(end[0]) if end and end[0].isdecimal() else dots
    return labels[:dots] == [str(n) for n in range(dots)] and end == [str(first + n) for n in range(len(end))]


def tidy(app, pagename, templatename, context, doctree):
    if "body" not in context:
        return
    context["body"] = TABLE.sub(lambda table: without_row_numbers(table[0]), context["body"])
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
