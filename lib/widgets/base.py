"""What every widget of the course has: a bundled ES module, a style, and a text alternative."""

import html
import re
from pathlib import Path

import anywidget

FOLDER = Path(__file__).parent


def bundle(name: str) -> str:
    """The ES module ``name.js`` with the text of the modules it imports in place of the imports, each once.

    A built page may lie on a disk, and browsers import no module from ``file://``.
    """
    bundled = set()

    def text(name: str) -> str:
        return re.sub(
            r'^import \{[^}]*\} from "\./(\w+)\.js";$',
            imported,
            (FOLDER / f"{name}.js").read_text(encoding="utf-8"),
            flags=re.MULTILINE,
        )

    def imported(line: re.Match) -> str:
        if line[1] in bundled:
            return ""
        bundled.add(line[1])
        return re.sub(r"^export (?=const|function)", "", text(line[1]), flags=re.MULTILINE)

    return text(name)


def style(*names: str) -> str:
    """The style that all widgets share, and the style sheets ``names``."""
    return "\n".join((FOLDER / f"{name}.css").read_text(encoding="utf-8") for name in ("parts", *names))


class Widget(anywidget.AnyWidget):
    """Base of the course's widgets. A subclass has ``_esm``, ``_css``, ``sentence()`` and perhaps ``details()``.

    In a notebook the live widget is shown. Where there is none (no scripts, paper, a code
    host) the sentence and the details stand in its place; the built book holds both.
    """

    def sentence(self) -> str:
        """What the widget shows, as text."""
        raise NotImplementedError

    def details(self) -> str:
        """More of it as HTML, such as a table."""
        return ""

    def __repr__(self) -> str:
        return self.sentence()

    def _repr_mimebundle_(self, **kwargs) -> tuple[dict, dict]:
        data, metadata = super()._repr_mimebundle_(**kwargs) or ({}, {})
        text = f'<div class="widget-text"><p>{html.escape(self.sentence())}</p>{self.details()}</div>'
        return {**data, "text/plain": repr(self), "text/html": text}, metadata
