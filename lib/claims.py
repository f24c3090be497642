"""A tested claim: what people say, what a run showed, and a verdict that fails when the numbers leave it."""

import html
from dataclasses import dataclass

MIME = "application/vnd.epoch.claim+json"  # of a box's data, beside its text and its HTML
VERDICTS = ("holds", "holds only if", "does not hold")


@dataclass(frozen=True)
class ClaimTested:
    """The box at the end of an experiment.

    Parameters
    ----------
    claim : str
        What textbooks and blog posts say.
    verdict : {"holds", "holds only if", "does not hold"}
        In words.
    precisely : str
        The statement that does hold.
    finding : str
        The measured effect with its interval, or the exact count, taken from the run.
    held_fixed : str
        What was the same in everything compared, and whether the learning rate was tuned.
    supported : bool
        Whether the run's numbers support the verdict, with the margin the lesson states.
    ids : str
        Which claims of the appendix this is, for instance "A13, B12".

    Raises
    ------
    AssertionError
        ``supported`` is false: the text must change.
    """

    claim: str
    verdict: str
    precisely: str
    finding: str
    held_fixed: str
    supported: bool
    ids: str = ""

    def __post_init__(self):
        if self.verdict not in VERDICTS:
            raise ValueError(f"verdict is {self.verdict!r}, but it must be one of {', '.join(map(repr, VERDICTS))}.")
        if not self.supported:
            raise AssertionError(
                f"The numbers no longer support the verdict {self.verdict!r} on {self.claim!r}: {self.finding}"
            )

    def as_data(self) -> dict:
        """What the page of all claims reads from the executed lessons; ``ids`` as a list."""
        ids = [each.strip() for each in self.ids.split(",") if each.strip()]
        return {
            "ids": ids,
            "claim": self.claim,
            "verdict": self.verdict,
            "precisely": self.precisely,
            "found": self.finding,
            "held_fixed": self.held_fixed,
        }

    def _repr_mimebundle_(self, include=None, exclude=None) -> dict:
        return {MIME: self.as_data()}

    def _rows(self):
        return [
            ("Claim", f"“{self.claim}”"),
            ("Verdict", self.verdict),
            ("Precisely", self.precisely),
            ("Found", self.finding),
            ("Held fixed", self.held_fixed),
        ]

    def __repr__(self) -> str:
        return "\n".join(f"{name}: {text}" for name, text in self._rows())

    def _repr_html_(self) -> str:
        kind = self.verdict.replace(" ", "-")
        rows = "".join(f"<dt>{name}</dt><dd>{html.escape(text)}</dd>" for name, text in self._rows())
        ids = f' <span class="claim-ids">{html.escape(self.ids)}</span>' if self.ids else ""
        return f'<div class="claim-tested {kind}"><p class="claim-title">Claim tested{ids}</p><dl>{rows}</dl></div>'
