"""Widgets that compute in the browser: alive in Jupyter and, without Python, in the built book.

Each is an anywidget: a Python class, an ES module (``.js``) and, where it needs one, a
style (``.css``) of the same name. Each also says in text what it shows.
"""

from lib.widgets.counting import BatchSlicer, Devices
from lib.widgets.explain import ExplainNumber
from lib.widgets.measured import FourClocks, StepsToTarget
from lib.widgets.path_viewer import PathViewer
from lib.widgets.predict import Predict
from lib.widgets.rows import DocumentRows

__all__ = [
    "BatchSlicer",
    "Devices",
    "DocumentRows",
    "ExplainNumber",
    "FourClocks",
    "PathViewer",
    "Predict",
    "StepsToTarget",
]
