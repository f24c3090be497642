"""The search reads formulas as a person does: no TeX among its words, and none in the excerpts of what it finds."""

from docutils import nodes


def without_formulas(doctree: nodes.document) -> nodes.document:
    """A copy of a page without its formulas, whose TeX is no word that a reader looks for."""
    copy = doctree.deepcopy()
    for formula in list(copy.findall(lambda node: isinstance(node, nodes.math | nodes.math_block))):
        formula.parent.remove(formula)
    return copy


def index_words_alone(app):
    index_page = getattr(app.builder, "index_page", None)  # builders of HTML have it
    if index_page is not None:
        app.builder.index_page = lambda name, doctree, title: index_page(name, without_formulas(doctree), title)


def tidy_excerpts(app, pagename, templatename, context, doctree):
    if pagename == "search":
        app.add_js_file("search.js", loading_method="defer")  # of this page alone


def setup(app):
    app.connect("builder-inited", index_words_alone)
    app.connect("html-page-context", tidy_excerpts)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
