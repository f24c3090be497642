"""Widgets in the built pages: their text stands beside them, and what needs Python says so.

For HTML, MyST-NB shows a widget and leaves out the text of the same output. Here both go
into the page; ``assets/static-widgets.js`` hides the text once the widget is alive. A
control that only Python can answer (``interact``) becomes a notice and the output that it
had when the page was built.
"""

import html
import json

from docutils import nodes
from myst_nb.sphinx_ import NbMetadataCollector
from sphinx.transforms.post_transforms import SphinxPostTransform

VIEW = "application/vnd.jupyter.widget-view+json"
STATE = "application/vnd.jupyter.widget-state+json"
NOTICE = (
    "This control needs Python: open the lesson as a notebook to use it. "
    "Below is what it showed when this page was made."
)


def outputs_of(models: dict, model_id: str) -> list[dict]:
    """What the ``Output`` widgets below a widget hold, in order."""
    state = models.get(model_id, {}).get("state", {})
    below = [name.removeprefix("IPY_MODEL_") for name in state.get("children", [])]
    return [*state.get("outputs", []), *(output for name in below for output in outputs_of(models, name))]


def as_html(output: dict) -> str:
    """A stored output: its HTML where it has some, else its text."""
    data = output.get("data", {})
    if "text/html" in data:
        return "".join(data["text/html"])
    return f"<pre>{html.escape(''.join(output.get('text') or data.get('text/plain', '')))}</pre>"


def needs_python(models: dict, model_id: str) -> str:
    """The text alternative of a control that only Python can answer."""
    shown = "".join(map(as_html, outputs_of(models, model_id)))
    return f'<div class="needs-python"><p>{NOTICE}</p>{shown}</div>'


class TextBesideWidget(SphinxPostTransform):
    default_priority = 3  # before MyST-NB selects one MIME type (4)

    def run(self, **kwargs):
        scripts = NbMetadataCollector.get_js_files(self.env, self.env.docname)
        models = json.loads(scripts["ipywidgets_state"][1]["body"])["state"] if "ipywidgets_state" in scripts else {}
        for bundle in self.document.findall(
            lambda node: node.get("nb_element") == "mime_bundle" if isinstance(node, nodes.container) else False
        ):
            by_type = {child["mime_type"]: child for child in bundle.children}
            view, text = by_type.get(VIEW), by_type.get("text/html")
            if view is None:
                continue
            bundle.remove(view)
            if text is not None:
                text.extend(view.children)
            elif self.app.builder.format == "html":
                marker = view.children[0].astext()
                model_id = json.loads(marker[marker.index("{") : marker.rindex("}") + 1])["model_id"]
                raw = nodes.raw(text=needs_python(models, model_id), format="html")
                bundle.append(nodes.container("", raw, mime_type="text/html"))


def drop_unused(app, pagename, templatename, context, doctree):
    """Keep of a page's widget state what is alive in the page: layouts and controls that need Python are not."""
    for script in context.get("script_files", []):
        attributes = getattr(script, "attributes", {})
        if attributes.get("type") == STATE:
            state = json.loads(attributes["body"])
            state["state"] = {
                name: model for name, model in state["state"].items() if model["model_module"] == "anywidget"
            }
            attributes["body"] = json.dumps(state, sort_keys=True).replace("</", r"<\/")


def setup(app):
    app.add_post_transform(TextBesideWidget)
    app.connect("html-page-context", drop_unused, priority=800)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
