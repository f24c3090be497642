"""Explain my number: which run makes a framework's bar or log show it?"""

from functools import cache

import traitlets

from lib.explain import MOST_EPOCHS, NAMES, OTHER_SAMPLES, SENSIBLE, as_html, explain, find, takes_parts
from lib.frameworks import FRAMEWORKS
from lib.frameworks.readings import Way
from lib.frameworks.ways import WAYS
from lib.widgets.base import Widget, bundle, style

CONSTANTS = ("n_steps", "train_freq", "learning_starts", "gradient_steps")


@cache
def table() -> dict:
    """What the front end needs to search by itself: every way of counting, and what is tried."""
    return {
        "ways": [_as_data(way) for way in WAYS],
        "sensible": SENSIBLE,
        "most_epochs": MOST_EPOCHS,
        "why_other_samples": OTHER_SAMPLES,
    }


def _as_data(way: Way) -> dict:
    written = way.about.defaults
    return {
        "framework": way.framework,
        "name": way.name,
        "version": way.version,
        "known_version": way.about.version,
        "letters": way.letters,
        "letters_of": list(way.arguments.values()),
        "arguments": [[name, letters, written.get(name) in (1, None)] for name, letters in way.arguments.items()],
        "given": [f"{name}={value!r}" for name, value in way.given.items()],
        "asked": list(way.asked.values()),
        "defaults": way.defaults,
        "habits": way.habits,
        "constants": {name: value for name, value in way.constants.items() if name in CONSTANTS},
        "held_out": way.held_out,
        "takes_parts": takes_parts(way),
        "caution": way.caution,
        "shows": [{"label": label, **shown._asdict(), "uses": shown.uses} for label, shown in way.shows.items()],
    }


class ExplainNumber(Widget):
    """A number of a bar or a log, what is known of the run, and every run that would show it.

    Parameters
    ----------
    shown, num_samples, batch_size, accumulation_steps, world_size, epochs, framework
        What the fields show at first; see ``lib.explain.explain``. None is an empty field.

    Raises
    ------
    TypeError, ValueError
        ``lib.explain.explain`` refuses them.

    Examples
    --------
    >>> ExplainNumber(1_875, 60_000, framework="keras")
    Explain my number: 1,875 is one epoch in batches: 60,000 samples in batches of 32 make 1,875 batches. Keras shows it as the bar, with batch_size=32.
    """

    _esm = bundle("explain")
    _css = style("explain")
    shown = traitlets.Int().tag(sync=True)
    num_samples = traitlets.Int().tag(sync=True)
    batch_size = traitlets.Int(None, allow_none=True).tag(sync=True)
    accumulation_steps = traitlets.Int(None, allow_none=True).tag(sync=True)
    world_size = traitlets.Int(None, allow_none=True).tag(sync=True)
    epochs = traitlets.Float(None, allow_none=True).tag(sync=True)
    framework = traitlets.Unicode("").tag(sync=True)
    frameworks = traitlets.Dict().tag(sync=True)
    table = traitlets.Dict().tag(sync=True)

    def __init__(self, shown: int, num_samples: int, *, framework: str | None = None, **known):
        if unknown := known.keys() - set(NAMES.values()):
            raise TypeError(f"{', '.join(sorted(unknown))} cannot be known; known are {', '.join(NAMES.values())}.")
        explain(shown, num_samples, framework=framework, **known)
        in_order = dict.fromkeys(way.framework for way in WAYS)
        super().__init__(
            shown=shown,
            num_samples=num_samples,
            framework=find(framework) if framework else "",
            frameworks={key: FRAMEWORKS[key].name for key in in_order},
            table=table(),
            **known,
        )

    def lines(self) -> list[str]:
        """The explanation of what the fields show now."""
        known = {name: getattr(self, name) for name in NAMES.values()}
        return explain(self.shown, self.num_samples, framework=self.framework or None, **known).lines()

    def sentence(self) -> str:
        first, *rest = self.lines()
        return " ".join(["Explain my number:", first, *(line.strip() for line in rest[:1])])

    def details(self) -> str:
        return as_html(self.lines()[2:])
