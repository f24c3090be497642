"""Explain a number: which run makes a framework's bar or log show it?

>>> print(explain(294, 9_400, batch_size=8, accumulation_steps=12, epochs=3, framework="transformers"))
294 = 3 × 98: 9,400 samples in batches of 8 make 1,175 batches; 12 make an iteration, the last 11 of an epoch a smaller one.
  Hugging Face Trainer shows it as global_step, with per_device_train_batch_size=8, gradient_accumulation_steps=12, num_train_epochs=3. Before 4.52 it would show 291.

In a terminal: ``python -m lib.explain 294 --samples 9400 --batch-size 8 --framework transformers``.

What is not known is tried: defaults, powers of two, round numbers and a few others. What
explains the number is put into an order. Each thing that nobody told costs something:
nothing if it is the framework's default, 1 if it is a power of two or round, else 2, and
epochs beyond 1,000 one more; a switch that is not at its default and an older version
cost 1. Of equals, fewer guesses come first, then the better known framework.

Pure Python, exact integers. ``lib/widgets/explain.js`` does the same in a page.
"""

import argparse
import difflib
import html
import json
import math
import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from itertools import product
from typing import Any

from lib.checks import whole_number
from lib.frameworks import FRAMEWORKS
from lib.frameworks.readings import Shown, Way, factor
from lib.frameworks.ways import WAYS

NAMES = {"B": "batch_size", "A": "accumulation_steps", "W": "world_size", "E": "epochs"}
POWERS = [2**power for power in range(11)]
SENSIBLE = {  # what is tried for a letter that is not known; epochs are worked out
    "B": sorted({*POWERS, 10, 20, 25, 50, 100, 200, 250, 500, 1000, 12, 24, 48, 96, 192}),
    "A": [1, 2, 4, 8, 16, 32, 3, 5, 6, 10, 12, 20],
    "W": [1, 2, 4, 8, 16, 3, 6],
}
MOST_EPOCHS = 10_000
OTHER_SAMPLES = "Samples may be packed into rows, filtered, or held out for validation before they are counted."


@dataclass(frozen=True)
class Source:
    """A framework that shows the number: under which label, with which of its own arguments."""

    framework: str
    name: str
    label: str
    arguments: dict[str, Any]
    otherwise: str = ""

    def __str__(self) -> str:
        written = ", ".join(f"{name}={value!r}" for name, value in self.arguments.items())
        return f"{self.name} shows it as {self.label}" + (f", with {written}." if written else ".") + self.otherwise


@dataclass(frozen=True)
class Configuration:
    """A run that gives the number, and why.

    Attributes
    ----------
    because : str
        The sentence.
    run : dict
        The letters that matter: N, B, A, W, E.
    cost : int
        What had to be supposed; see the module.
    sources : list of Source
        The frameworks that would show it.
    """

    because: str
    run: dict[str, int | float]
    cost: int
    sources: list[Source] = field(default_factory=list)


@dataclass(frozen=True)
class Explanation:
    """Everything that was found about a number.

    Attributes
    ----------
    shown : int
    found : list of Configuration
        What gives the number, most likely first.
    asked : list of Source
        Frameworks in which the number may have been set outright.
    differs : list of str
        If nothing gives the number, what would: sentences.
    notes : list of str
        What was passed over.
    """

    shown: int
    found: list[Configuration]
    asked: list[Source]
    differs: list[str]
    notes: list[str]

    def lines(self, most: int = 5) -> list[str]:
        """The explanation as plain sentences, with at most so many configurations."""
        lines = []
        for one in self.found[:most]:
            lines += [one.because, *(f"  {source}" for source in one.sources[:most])]
            if len(one.sources) > most:
                names = dict.fromkeys(source.name for source in one.sources[most:])
                lines.append(f"  Also: {', '.join(names)}.")
        if len(self.found) > most:
            more = len(self.found) - most
            says = "configuration gives" if more == 1 else "configurations give"
            lines.append(f"{more:,} more {says} {self.shown:,}, less likely.")
        if not self.found:
            lines += [f"Nothing that is known here gives {self.shown:,} with these numbers.", *self.differs]
        if self.asked:
            by_argument: dict[str, list[str]] = {}
            for source in self.asked:
                by_argument.setdefault(*next(iter(source.arguments.items()))[:1], []).append(source.name)
            said = "; ".join(f"{name}={self.shown} ({', '.join(names)})" for name, names in by_argument.items())
            lines.append(f"Or it was asked for: {said}.")
        return [*lines, *self.notes]

    def __str__(self) -> str:
        return "\n".join(self.lines())

    def _repr_html_(self) -> str:
        return as_html(self.lines())


def as_html(lines: list[str]) -> str:
    """The lines of an explanation as paragraphs, with lists of what is set in."""
    text = ""
    for line in lines:
        said = html.escape(line.strip())
        text += f"<ul><li>{said}</li></ul>" if line.startswith("  ") else f"<p>{said}</p>"
    return text.replace("</ul><ul>", "")


def explain(
    shown: int,
    num_samples: int,
    *,
    batch_size: int | None = None,
    accumulation_steps: int | None = None,
    world_size: int | None = None,
    epochs: int | float | None = None,
    framework: str | None = None,
) -> Explanation:
    """Every configuration that makes a bar or a log show a number, most likely first.

    Parameters
    ----------
    shown : int
        The number.
    num_samples : int
        Samples in the data set, N.
    batch_size, accumulation_steps, world_size, epochs
        B of one device, A, W, E, where they are known; None is tried. Epochs may have a
        part behind the point where the framework takes one.
    framework : str, optional
        A key of ``FRAMEWORKS``, or a name that leads to one; None for all.

    Raises
    ------
    ValueError, TypeError
        A number is no whole one or negative, or the framework is not known.

    Examples
    --------
    >>> explain(1_875, 60_000, framework="keras").found[0].because
    '1,875 is one epoch in batches: 60,000 samples in batches of 32 make 1,875 batches.'
    """
    shown = whole_number("the number", shown, at_least=1)
    known: dict[str, int | float] = {"N": whole_number("num_samples", num_samples, at_least=1)}
    for letter, value in zip("BAW", (batch_size, accumulation_steps, world_size)):
        if value is not None:
            known[letter] = whole_number(NAMES[letter], value, at_least=1)
    if epochs is not None:
        known["E"] = _epochs(epochs)
    key = None if framework is None else find(framework)
    ways = [way for way in WAYS if key in (None, way.framework)]
    found = search(shown, known, ways, named=key is not None)
    asked = [] if "E" in known and found else list(_asked(shown, ways))
    differs = [] if found else differences(shown, known, ways, named=key is not None)
    return Explanation(shown, found, asked, differs, notes(known, ways) if key else [])


def notes(known: dict, ways: list[Way]) -> list[str]:
    """What a framework that was named has no place for, and what may count otherwise than its arguments say."""
    return [
        f"{ways[0].about.name} has no place for {NAMES[letter]} here, so {known[letter]} was passed over."
        for letter in NAMES
        if letter in known and known[letter] != 1 and not any(letter in way.letters for way in ways)
    ] + list(dict.fromkeys(way.caution for way in ways if way.caution))


def find(framework: str) -> str:
    """The key in ``FRAMEWORKS`` that somebody means.

    Examples
    --------
    >>> find("PyTorch Lightning"), find("Trainer"), find("pytorch")
    ('lightning', 'transformers', 'torch')
    """
    wanted = _bare(framework)
    for names in (
        lambda one: [one.key, one.name, one.package],
        lambda one: [*one.name.split(), *one.key.split("-")],
        lambda one: [one.name[: len(framework)]],
    ):
        for one in FRAMEWORKS.values():
            if wanted and wanted in map(_bare, names(one)):
                return one.key
    known = {_bare(text): one.key for one in FRAMEWORKS.values() for text in (one.key, one.name, *one.name.split())}
    close = dict.fromkeys(known[name] for name in difflib.get_close_matches(wanted, known, n=6, cutoff=0.5))
    meant = f"did you mean {' or '.join(list(close)[:3])}?" if close else f"it must be one of {', '.join(FRAMEWORKS)}."
    raise ValueError(f"framework is {framework!r}, which is not known here; {meant}")


def _bare(text: str) -> str:
    return re.sub(r"[^a-z0-9]", "", text.lower())


def _epochs(epochs) -> int | float:
    if isinstance(epochs, float) and not epochs.is_integer():
        if not 0 < epochs < math.inf:
            raise ValueError(f"epochs is {epochs}, but it must be a number above 0, such as 3 or 2.5.")
        return epochs
    return whole_number("epochs", int(epochs) if isinstance(epochs, float) else epochs, at_least=1)


# the search -------------------------------------------------------------------------------


def search(shown: int, known: dict, ways: Iterable[Way], named: bool) -> list[Configuration]:
    """All configurations that give the number; ``named``: what a framework has no place for is passed over."""
    found = []
    for place, way in enumerate(ways):
        for order, (label, number) in enumerate(way.shows.items()):
            for run in _runs(shown, known, way, number, named):
                guesses = sum(
                    letter not in known and value != way.defaults.get(letter) for letter, value in run.items()
                )
                order_of_run = (run.get(letter, 0) for letter in "EBAW")
                likely = (cost(way, known, run), guesses, place, order, *order_of_run)
                found.append((likely, way, label, number, run))
    found.sort(key=lambda each: each[0])
    grouped: dict[tuple, Configuration] = {}
    for likely, way, label, number, run in found:
        text = because(way, number, run)
        same = (text, *(run.get(letter, 1) for letter in "BAWE"))
        one = grouped.setdefault(same, Configuration(text, run, likely[0]))
        if (way.name, label) not in [(source.name, source.label) for source in one.sources]:
            one.sources.append(source_of(way, label, number, run))
    return list(grouped.values())


def _runs(shown: int, known: dict, way: Way, number: Shown, named: bool) -> Iterator[dict]:
    """The runs of a way in which this number of it is the one that was shown; only the letters that matter."""
    uses, N = number.uses, known["N"]
    for letter in "BAWE":
        if letter in known and letter not in way.letters and known[letter] != 1 and not named:
            if letter != "A" or "A" in uses:  # a batch is a batch, whoever accumulates
                return
    if "N" not in "".join(way.arguments.values()):
        return
    choices = []
    for letter in "BAW":
        if letter not in uses or letter not in way.letters:
            choices.append([None])
        elif letter in known:
            choices.append([known[letter]])
        else:
            default = way.defaults.get(letter)
            tried = dict.fromkeys([*([default] if default else []), *SENSIBLE[letter]])
            choices.append([value for value in tried if letter != "B" or value <= N])
    for values in product(*choices):
        run = {"N": N, **{letter: value for letter, value in zip("BAW", values) if value is not None}}
        if "E" not in uses:
            if way.count(number, run) == shown:
                yield run
        elif "E" in known:
            if (known["E"] == int(known["E"]) or takes_parts(way)) and way.count(
                number, {**run, "E": known["E"]}
            ) == shown:
                yield {**run, "E": known["E"]}
        elif number != Shown("epochs"):  # that would explain every number; see ``asked``
            yield from ({**run, "E": epochs} for epochs in epochs_for(shown, way, number, run))


def epochs_for(shown: int, way: Way, number: Shown, run: dict) -> range:
    """The whole numbers of epochs with which a run shows the number."""
    a, b = way.pace(number, **{letter: run.get(letter, 1) for letter in "NBAW"})
    value, rest = divmod(shown - number.plus, factor(number, run))
    if not a or rest or value < 1:
        return range(0)
    if b == 1:
        return range(value // a, value // a + 1) if value % a == 0 and value // a <= MOST_EPOCHS else range(0)
    return range(-(-value * b // a), min(((value + 1) * b - 1) // a, MOST_EPOCHS) + 1)


def takes_parts(way: Way) -> bool:
    """Whether epochs may have a part behind the point."""
    return "num_train_epochs" in way.arguments


def cost(way: Way, known: dict, run: dict) -> int:
    """What a configuration supposes; see the module."""
    total = len(way.given) + (1 if way.version else 0)
    for letter, value in run.items():
        if letter not in known and value != way.defaults.get(letter):
            total += 1 if is_round(value) else 2
            total += letter == "E" and value > 1000
    return total


def is_round(value: int) -> bool:
    """A power of two, or 1 to 9, 15 or 25 with noughts behind it."""
    return value & (value - 1) == 0 or str(value).rstrip("0") in {*"123456789", "15", "25"}


def source_of(way: Way, label: str, number: Shown, run: dict) -> Source:
    """Where the number is seen, and what other versions would show there."""
    arguments: dict[str, Any] = {}
    for name, letters in way.arguments.items():
        if "N" not in letters and all(letter in run or letter not in way.letters for letter in letters):
            if any(letter in run for letter in letters):
                value = math.prod(run.get(letter, 1) for letter in letters)
                if not (value == 1 and way.constants.get(name) in (1, None)):
                    arguments[name] = value
    otherwise = ""
    for other in WAYS:
        if other.framework == way.framework and other.given == way.given and other.version != way.version:
            if label in other.shows and (count := other.count(other.shows[label], run)) not in (
                way.count(number, run),
                0,
            ):
                when = other.version.capitalize() or f"Version {other.about.version}"
                otherwise = f" {when}{' it' if other.version else ''} would show {count:,}."
    return Source(way.framework, way.name, label, {**arguments, **way.given}, otherwise)


def _asked(shown: int, ways: Iterable[Way]) -> Iterator[Source]:
    seen = set()
    for way in ways:
        for label, argument in way.asked.items():
            if shown and not way.version and (way.framework, argument) not in seen:
                seen.add((way.framework, argument))
                yield Source(way.framework, way.name, label, {argument: shown})


# the reasons ------------------------------------------------------------------------------


def because(way: Way, number: Shown, run: dict) -> str:
    """Why a run shows a number, in a sentence."""
    value = way.count(number, run)
    text = reading_because(way, number, run)
    if number.plus:
        before = value - number.plus
        text = f"{value:,} = {before:,} {'+' if number.plus > 0 else '-'} {abs(number.plus)}, and {text}"
    times = factor(number, run)
    if times != 1:
        text = f"{value:,} = {times:,} × {value // times:,}, and {text}"
    return text


def reading_because(way: Way, number: Shown, run: dict) -> str:
    """Why a reading has its value."""
    N, B, A, W = (run.get(letter, 1) for letter in "NBAW")
    E = run.get("E", 1)
    a, b = way.pace(number, N, B, A, W)
    value = a if "E" not in number.uses else (E * a // b if b != 1 else math.ceil(E * a))
    epochs = f"{E:,}" if isinstance(E, int) else str(E)
    kept = way.samples(N)
    samples = plural(kept, "sample") + (f" of {N:,}" if kept != N else "")
    if number.reading == "epochs":
        return f"{value:,} is the number of epochs or rounds, whatever the batch size."
    if number.reading == "visits":
        return f"{value:,} = {epochs} × {samples}."
    if number.reading == "iterations for N":
        return f"{value:,} = {N:,} samples / {B * A * W:,}, rounded down."
    if number.reading == "updates from memory":
        after, at_once = way.constants["learning_starts"], way.constants["train_freq"] * W
        return (
            f"{value:,} updates in {N:,} timesteps, one training every {at_once:,} of them behind the first {after:,}."
        )
    if number.reading in ("timesteps", "rollouts", "passes over rollouts"):
        size = way.constants["n_steps"] * W
        rollouts = f"{plural(-(-N // size), 'rollout')} of {size:,} timesteps"
        if number.reading == "passes over rollouts":
            return f"{value:,} = {epochs} × {a:,}: {rollouts} are gone through {epochs} times each."
        ending = "" if N % size == 0 else f"; {N:,} timesteps are rounded up"
        return f"{value:,} is {rollouts}{ending}."
    if way.habits.get("drawn"):
        return f"{value:,} = {epochs} × {samples} / {b:,}, rounded down: batches are drawn."
    data = made_of(way, kept, samples, B, W)
    batches = way.batches(kept, B, W)
    if number.reading == "batches of an epoch":
        return f"{value:,} is one epoch in batches: {data}."
    if number.reading == "batches":
        return f"{value:,} = {epochs} × {batches:,}: {data}, and each is counted."
    data += left_over(way, batches, A)
    if number.reading == "iterations of an epoch":
        return f"{value:,} is one epoch in iterations: {data}."
    if b != 1:
        return f"{value:,} = {plural(E * batches, 'batch')} / {A}, rounded down: {data}."
    rounded = "" if E * a == value else ", rounded up"
    return f"{value:,} = {epochs} × {a:,}{rounded}: {data}."


def made_of(way: Way, kept: int, samples: str, B: int, W: int) -> str:
    """How samples become the batches of a device in an epoch."""
    habits, batches = way.habits, way.batches(kept, B, W)
    made = f"{plural(batches, 'batch')}"
    if "workers" in habits:
        if habits["workers"]:
            samples += f", {'shared by' if habits['split'] else 'all read by each of'} {habits['workers']} workers,"
        return f"{samples} in batches of {B:,} make {made}"
    if W == 1:
        rest = kept % B
        end = f", the last one of {rest:,}" if rest and kept > B else ""
        if rest and habits["drop_last"]:
            end = f", and {rest:,} dropped"
        return f"{samples} in batches of {B:,} make {made}{end}"
    dealt = "batches, dealt whole," if habits["deal"] == "batches" else "batches"
    end = ", what is left over dropped" if habits["drop_last"] else ""
    return f"{samples} on {W:,} devices in {dealt} of {B:,} make {made} on each{end}"


def left_over(way: Way, batches: int, A: int) -> str:
    """What becomes of an epoch's batches when A of them make an iteration."""
    rest = batches % A
    if A == 1:
        return ""
    ends = {
        "flush": f", the last {rest} of an epoch a smaller one",
        "carry": ", what is left over goes on in the next epoch",
        "merge": f", the {rest} left over join the next epoch's first",
        "drop": f", the {rest} left over are dropped",
        "floor": f", the {rest} left over are not counted",
    }
    tail = "flush" if way.habits["tail"] == "floor" and batches < A else way.habits["tail"]
    return f"; {A} make an iteration" + (ends[tail] if rest else "")


def plural(count, word: str) -> str:
    """``1 batch``, ``2,000 batches``."""
    return f"{count:,} {word}" + ("" if count == 1 else "es" if word.endswith("ch") else "s")


# if nothing gives the number ------------------------------------------------------------------


def differences(shown: int, known: dict, ways: list[Way], named: bool, most: int = 3) -> list[str]:
    """What would have to differ, in sentences: one known number, the number of samples, or the number itself."""
    sentences = []
    for letter in "EBAW":
        if letter in known:
            others = search(shown, {key: value for key, value in known.items() if key != letter}, ways, named)
            if others and letter in others[0].run:
                best = others[0]
                sentences.append(f"If {NAMES[letter]} were {best.run[letter]:,}, not {known[letter]}: {best.because}")
    numbers = _numbers(known, ways, named)
    ranges: dict[str, None] = {}
    for way, label, number, run in numbers:
        low, high = samples_for(shown, way, number, run)
        if low <= high:
            many = f"{low:,}" if low == high else f"{low:,} to {high:,}"
            ranges[f"{way.name} shows {label} {shown:,} with {many} samples, not {known['N']:,}."] = None
    sentences += list(ranges)[:most]
    if ranges:
        sentences.append(OTHER_SAMPLES)
    nearest = sorted(numbers, key=lambda each: abs(each[0].count(each[2], each[3]) - shown))
    near: dict[str, str] = {}
    for way, label, number, run in nearest:
        count = way.count(number, run)
        gap = f"{abs(count - shown):,} {'more' if count > shown else 'fewer'}"
        near.setdefault(because(way, number, run), f"{way.name} would show {label} {count:,}, {gap}: ")
    return sentences + [start + reason for reason, start in list(near.items())[:most]]


def _numbers(known: dict, ways: Iterable[Way], named: bool) -> list[tuple[Way, str, Shown, dict]]:
    """What the ways show when all that is not known has its default."""
    found = []
    for way in ways:
        unplaced = [x for x in "BAWE" if x in known and x not in way.letters and known[x] != 1]
        for label, number in way.shows.items():
            run = {"N": known["N"]}
            for letter in number.uses:
                if letter in way.letters:
                    run[letter] = known.get(letter, way.defaults.get(letter, 1))
            whole = run.get("E", 1) == int(run.get("E", 1)) or takes_parts(way)
            if whole and (named or not unplaced) and way.count(number, run):
                found.append((way, label, number, run))
    return found


def samples_for(shown: int, way: Way, number: Shown, run: dict) -> tuple[int, int]:
    """The least and the largest N with which the number would be shown; the least is larger if there is none."""

    def first_with(least: int) -> int:
        low, high = 0, 1
        while way.count(number, {**run, "N": high}) < least:
            low, high = high, 2 * high
            if high > 10**12:
                return high
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if way.count(number, {**run, "N": middle}) >= least else (middle, high)
        return high

    return first_with(shown), first_with(shown + 1) - 1


# the command ------------------------------------------------------------------------------


def number_of(text: str, name: str) -> int | float:
    """A number as people write it: 9,400 or 9400 or 2.5."""
    plain = re.sub(r"(?<=\d)[,_](?=\d{3}\b)", "", text.strip())
    try:
        value = int(plain) if re.fullmatch(r"[-+]?\d+", plain) else float(plain)
    except ValueError:
        raise ValueError(f"{name} is {text!r}, but it must be a number, such as 9400.") from None
    if not math.isfinite(value) or (value != int(value) and name != "--epochs"):
        raise ValueError(f"{name} is {text}, but it must be a whole number.")
    return int(value) if value == int(value) else value


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m lib.explain", description="Which run makes a bar or a log show this number?"
    )
    parser.add_argument("number", help="the number that is shown")
    parser.add_argument("--samples", required=True, metavar="N", help="samples in the data set")
    for option, letter, what in [
        ("--batch-size", "B", "samples of a batch on one device"),
        ("--accumulation", "A", "micro-batches of an iteration"),
        ("--devices", "W", "devices that share an epoch"),
        ("--epochs", "E", "epochs; 2.5 where the framework takes that"),
    ]:
        parser.add_argument(option, metavar=letter, help=f"{what}, if known")
    parser.add_argument("--framework", metavar="NAME", help="such as transformers; without it all are tried")
    parser.add_argument("--all", action="store_true", help="every configuration, not the five most likely ones")
    parser.add_argument("--json", action="store_true", help="everything that was found, for programs")
    # argparse would take a negative number for an option that it does not know
    given, rest = parser.parse_known_args(arguments)
    if rest:
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    try:
        known: dict[str, Any] = {
            name: number_of(text, option)
            for name, option, text in [
                ("batch_size", "--batch-size", given.batch_size),
                ("accumulation_steps", "--accumulation", given.accumulation),
                ("world_size", "--devices", given.devices),
                ("epochs", "--epochs", given.epochs),
            ]
            if text is not None
        }
        number, samples = number_of(given.number, "the number"), number_of(given.samples, "--samples")
        found = explain(int(number), int(samples), framework=given.framework, **known)
    except ValueError as refused:
        print(refused, file=sys.stderr)
        return 2
    if given.json:
        print(json.dumps(asdict(found), indent=2))  # ASCII, whatever the terminal can show
    else:
        print("\n".join(found.lines(len(found.found) if given.all else 5)))
    return 0 if found.found or found.asked else 1


if __name__ == "__main__":
    sys.exit(main())
