"""One run, written and counted in every framework: the tables of the page *The same run in twenty-five frameworks*.

Every number comes from ``lib.frameworks``. Here stands only which of a framework's
arguments says what.
"""

import re

from lib.frameworks import FRAMEWORKS, Framework
from lib.plan import TrainingPlan

EASY = {"samples": 10_000, "batch_size": 500, "epochs": 3, "accumulation": 1}
HARD = {"samples": 10_000, "batch_size": 300, "epochs": 3, "accumulation": 4}
ROLES = {  # the frameworks' arguments, and what of a run they say
    "num_samples": "samples",
    "dataset_size": "samples",
    "num_seeds": "samples",
    "num_words": "samples",
    "total_timesteps": "samples",
    "n_steps": "samples",
    "lengths": "lengths",
    "train_samples": "visits",
    "batch_size": "batch_size",
    "per_device_train_batch_size": "batch_size",
    "train_micro_batch_size_per_gpu": "batch_size",
    "micro_batch_size": "batch_size",
    "local_batch_size": "batch_size",
    "batch": "batch_size",
    "batch_words": "batch_size",
    "bs": "batch_size",
    "epochs": "epochs",
    "max_epochs": "epochs",
    "n_epoch": "epochs",
    "n_epochs": "epochs",
    "num_train_epochs": "epochs",
    "max_iter": "epochs",
    "accumulation_steps": "accumulation",
    "gradient_accumulation_steps": "accumulation",
    "accumulate_grad_batches": "accumulation",
    "accumulate_gradient": "accumulation",
    "grad_accum_steps": "accumulation",
    "every_k_schedule": "accumulation",
    "global_batch_size": "together",
    "n_acc": "together",
    "nbs": "together",
    "size": "together",
    "max_iters": "iterations",
    "steps": "iterations",
    "num_boost_round": "iterations",
    "iterations": "iterations",
}
EXCEPTIONS = {  # where the name alone misleads
    "ignite": {"max_iters": None},  # excludes max_epochs
    "skorch": {"train_split": None},  # or a fifth of the samples is held out
}
REPOSITORIES = {  # "keras #19037" is a thread of keras-team/keras
    "accelerate": "huggingface/accelerate",
    "fastai": "fastai/fastai",
    "keras": "keras-team/keras",
    "lightning": "Lightning-AI/pytorch-lightning",
    "pytorch": "pytorch/pytorch",
    "tensorflow": "tensorflow/tensorflow",
    "transformers": "huggingface/transformers",
    "yolov5": "ultralytics/yolov5",
}
WORDS = ("iteration", "epoch", "batch", "batch size", "accumulation", "global batch size", "budget")
HABITS = {
    "a smaller last batch": "last_batch",
    "left-over micro-batches": "tail",
    "samples that do not divide": "padding",
    "shuffling": "shuffling",
    "a shown loss is the": "averaging",
    "a scheduler steps every": "scheduler",
}


def by_name() -> list[Framework]:
    """All frameworks in the order of the alphabet."""
    return sorted(FRAMEWORKS.values(), key=lambda framework: framework.name.lower())


def arguments(framework: Framework, run: dict) -> dict:
    """The run in the framework's own arguments; what it has no argument for, and an accumulation of 1, is left out."""
    plan = TrainingPlan(run["samples"], run["batch_size"], run["epochs"], accumulation_steps=run["accumulation"])
    said = run | {
        "together": plan.global_batch_size,
        "iterations": plan.total_iterations,
        "visits": plan.total_samples,
        "lengths": [10] * run["samples"],  # texts of 10 tokens
    }
    given = {name: said[ROLES[name]] for name in framework.arguments if name in ROLES}
    given |= EXCEPTIONS.get(framework.key, {})
    needless = [name for name in given if ROLES.get(name) == "accumulation" and framework.defaults[name] in (None, 1)]
    return {name: value for name, value in given.items() if not (name in needless and value == 1)}


def accumulates(framework: Framework) -> bool:
    """Whether the framework adds up gradients by itself."""
    return any(ROLES.get(name) in ("accumulation", "together") for name in framework.arguments)


def counted(framework: Framework, run: dict) -> int | None:
    """Iterations of the run in a framework; None where it refuses the run."""
    try:
        return framework.plan(**arguments(framework, run)).total_iterations
    except ValueError:
        return None


def runs() -> str:
    """Markdown table: how each framework writes the run, and what it makes of both cases."""
    rows = []
    for framework in by_name():
        rows.append(
            [
                _name(framework),
                _written(framework),
                _made_of(framework, EASY),
                _made_of(framework, HARD),
                _rule(framework),
            ]
        )
    return _table(
        ["framework", "the easy case, written", "easy: it makes", "hard: it makes", "left-over micro-batches"], rows
    )


def words() -> str:
    """Markdown table: what each framework calls the course's words."""
    rows = [[_name(one), *(_code(one.words.get(word, "–")) for word in WORDS)] for one in by_name()]
    return _table(["framework", *WORDS], rows)


def defaults() -> str:
    """Markdown table: each framework's defaults."""
    rows = []
    for framework in by_name():
        given = ", ".join(f"`{name}={value!r}`" for name, value in framework.defaults.items()) or "–"
        rows.append([_name(framework), given])
    return _table(["framework", "defaults"], rows)


def habits() -> str:
    """Markdown table: what each framework does where a run leaves it open."""
    rows = [[_name(one), *(_code(getattr(one, habit)) for habit in HABITS.values())] for one in by_name()]
    return _table(["framework", *HABITS], rows)


def entries() -> str:
    """Markdown: for each framework why it makes what it makes of the hard case, its traps, and where they were seen."""
    lines = []
    for framework in by_name():
        run = arguments(framework, HARD)
        try:
            why = framework.explain(**run)
        except ValueError as refused:
            why = f"It refuses the hard case: {refused}"
        lines += [f"### {_code(framework.name)}", "", f"{_code(framework.status.capitalize())}. {_code(why)}", ""]
        lines += [f"- {_code(trap)}" for trap in framework.traps] + [""]
        if framework.sources:
            lines += ["Seen in " + ", ".join(map(source, framework.sources)) + ".", ""]
    return "\n".join(lines)


def source(text: str) -> str:
    """A source as Markdown: a thread such as "keras #19037" as a link, a file as code."""
    thread = re.fullmatch(r"([\w.-]+) #(\d+)", text)
    if thread:
        return f"[{text}](https://github.com/{REPOSITORIES[thread[1]]}/issues/{thread[2]})"
    return f"`{text}`"


def _name(framework: Framework) -> str:
    return f"**{_code(framework.name)}** {_code(framework.version)} *{'run' if framework.executed else 'read'}*"


def _written(framework: Framework) -> str:
    said = {name: value for name, value in arguments(framework, EASY).items() if value is not None}
    return ", ".join(f"`{name}={value!r}`" for name, value in said.items() if name not in ("num_samples", "lengths"))


def _made_of(framework: Framework, run: dict) -> str:
    try:
        answer = framework.answer(**arguments(framework, run))
    except ValueError:
        return "refused"
    shown = "; ".join(f"`{name}` {_number(value)}" for name, value in answer.shows.items())
    return f"**{answer.plan.total_iterations:,}**" + (f" ({shown})" if shown else "")


def _rule(framework: Framework) -> str:
    plan = framework.plan(**arguments(framework, HARD))
    return plan.tail if accumulates(framework) and plan.batches_per_epoch else "–"


def _number(value) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)


def _code(text: str) -> str:
    """Names of a framework as code: an option, what has an underscore or a dot in it, a call, a value after a =."""
    option, dotted = r"(?<![\w`-])--[a-z][\w-]*", r"(?<![\w`./])[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*"
    name = option + "|" + dotted + r"(?:\([^()]*\))?(?:=(?:'[^']*'|-?[\w.]*\w))?"
    return re.sub(name, lambda found: f"`{found[0]}`" if re.search(r"--|[_.(=]", found[0]) else found[0], text)


def _table(columns: list[str], rows: list[list[str]]) -> str:
    def line(cells):
        return "| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |"

    table = [line(columns), "|---" * len(columns) + "|", *map(line, rows)]
    return "\n".join([":::{container} filterable", "", *table, "", ":::"])
