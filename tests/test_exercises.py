"""Every lesson has an exercise that changes code; its check takes the worked solution and no wrong answer."""

from pathlib import Path

import jupytext
import pytest

ROOT = Path(__file__).resolve().parents[1]
LESSONS = {path.name[:2]: path for path in sorted((ROOT / "lessons").glob("[0-9]*.md"))}
KINDS = ["exercise-check", "exercise", "exercise-solution"]

# For each lesson: wrong answers, as changes of the worked solution.
WRONG = {
    "01": {
        "tail dropped": ("shuffle=True", "shuffle=True, drop_last=True"),
        "not shuffled": ("shuffle=True", "shuffle=False"),
        "the same order": ("samples, batch_size, shuffle=True", "samples[50:] + samples[:50], batch_size"),
        "everything twice": ("DataLoader(samples,", "DataLoader(samples + samples,"),
    },
    "02": {
        "left over lost": ("range(0, len(micro_batches), A)", "range(0, len(micro_batches) - A + 1, A)"),
        "sum of means": (" / len(group)", ""),
        "divided by A": ("/ len(group)", "/ A"),
        "last micro-batch only": (
            "        for x, y in group:\n",
            "        for x, y in group:\n            optimizer.zero_grad()\n",
        ),
        "passes counted": ("iterations += 1", "iterations += len(group)"),
        "nothing returned": ("return iterations", "pass"),
    },
    "03": {
        "sum": (" / len(x)", ""),
        "batch size": ("len(x)", "batch_size"),
        "unit length": ("return 2 * (x @ w - y) @ x / len(x)", "g = (x @ w - y) @ x\n    return g / np.linalg.norm(g)"),
        "half": ("2 * ", ""),
        "one sample": ("return 2 * (x @ w - y) @ x / len(x)", "return 2 * (x[0] @ w - y[0]) * x[0]"),
    },
    "04": {
        "tail counted full": ("min(batch_size, num_samples - first)", "batch_size"),
        "half epoch counted": (
            "if steps == max_steps:\n                return",
            "if steps == max_steps:\n                epochs += 1\n                return",
        ),
        "one too many": ("if steps == max_steps", "if steps > max_steps"),
        "break without an end": ("return steps, epochs, samples\n            ", "break\n            "),
        "one too few": ("if steps == max_steps", "if steps == max_steps - 1"),
    },
    "05": {
        "with replacement": ("permutation(len(gradients))[:batch_size]", "integers(len(gradients), size=batch_size)"),
        "the same batch": ("random.permutation(", "np.random.default_rng(0).permutation("),
        "the first samples": ("random.permutation(len(gradients))", "np.arange(len(gradients))"),
        "not squared": (" ** 2).sum()", ").sum()"),
        "not averaged": ("/ draws", ""),
    },
    "06": {
        "no warm-up": ("range(5)", "range(0)"),
        "warm-up too short": ("range(5)", "range(1)"),
        "mean": ("median(times)", "sum(times) / len(times)"),
        "longest": ("median(times)", "max(times)"),
        "all in one": ("        start = clock()\n        call()", "        call()\n        start = clock()"),
    },
    "07": {
        "looks ahead": ("history[history[clock] <= budget]", "history[history[clock].shift(fill_value=0) <= budget]"),
        "before the budget": ("<= budget", "< budget"),
        "the lowest loss": ('within["loss"].iloc[-1]', 'history["loss"].min()'),
        "iterations for any clock": ("history[clock]", 'history["iterations"]'),
        "the first row": ("iloc[-1]", "iloc[0]"),
        "no case without evaluation": ("np.nan", "0.0"),
    },
    "08": {
        "counted from 0": ("reached[0] + 1", "reached[0]"),
        "the last time": ("reached[0]", "reached[-1]"),
        "the lowest": ("reached[0]", "np.argmin(losses)"),
        "number of the evaluation": (" * every", ""),
        "the end for never": ("None", "len(losses) * every"),
        "below only": ("<= target", "< target"),
    },
    "09": {
        "starts at 0": ("(i + 1)", "i"),
        "tails forgotten": ("TrainingPlan(N, B)", "TrainingPlan(N, B, drop_last=True)"),
        "rounded at the end": ("warmup_epochs * per_epoch", "-(-warmup_epochs * N // B)"),
        "never stops rising": ("min(1, (i + 1) / max(1, warmup))", "(i + 1) / max(1, warmup)"),
        "no warm-up": ("min(1, (i + 1) / max(1, warmup))", "1"),
        "one epoch too few": ("total, warmup = epochs", "total, warmup = (epochs - 1)"),
    },
    "10": {
        "chosen on test": ("validation.mean(axis=1)", "test.mean(axis=1)"),
        "reported on validation": ("return test[best]", "return validation[best]"),
        "best seed": ("validation.mean(axis=1)", "validation.max(axis=1)"),
        "best test seed": ("test[best].mean()", "test[best].max()"),
        "no choice": ("validation.mean(axis=1).argmax()", "0"),
    },
    "11": {
        "not a copy": ("copy.deepcopy(model.state_dict())", "model.state_dict()"),
        "a shallow copy": ("copy.deepcopy(", "copy.copy("),
        "detached is no copy": (
            "copy.deepcopy(model.state_dict())",
            "{name: weight.detach() for name, weight in model.state_dict().items()}",
        ),
        "not brought back": ("    model.load_state_dict(kept)\n", ""),
        "patience exceeded": ("since < patience", "since <= patience"),
        "kept at every step": (
            "else:\n            since += 1",
            "else:\n            since, kept = since + 1, copy.deepcopy(model.state_dict())",
        ),
    },
    "12": {
        "mean of means": ('reduction="sum"', 'reduction="mean"'),
        "sum": ("(loss / together)", "loss"),
        "by micro-batches": ("/ together", "/ len(micro_batches)"),
        "by the first size": ("sum(len(x) for x, _ in micro_batches)", "len(micro_batches[0][0]) * len(micro_batches)"),
        "the last one only": (".backward()", ".backward() if x is micro_batches[-1][0] else None"),
    },
    "13": {
        "dropped": ("losses[rank::world_size]", "losses[:10 // world_size * world_size][rank::world_size]"),
        "padded": ("losses[rank::world_size]", "(losses * 2)[rank:-(-10 // world_size) * world_size:world_size]"),
        "all of it": ("losses[rank::world_size]", "losses"),
        "one does all": ("losses[rank::world_size]", "losses if rank == 0 else []"),
        "means for sums": ("sum(own), len(own)", "sum(own) / max(1, len(own)), len(own)"),
    },
    "14": {
        "tokens alone": ("(len(batches[-1]) + 1) * widest", "sum(batches[-1]) + length"),
        "widest so far": ("max([length, *batches[-1]])", "max([length, *batches[-1][:1]])"),
        "the longest forgotten": ("max([length, *batches[-1]])", "length"),
        "one too many": ("(len(batches[-1]) + 1)", "len(batches[-1])"),
        "one too few": ("> max_places", ">= max_places"),
        "one document lost": (
            "            batches.append([])\n",
            "            batches.append([])\n            continue\n",
        ),
        "sorted": ("for length in lengths", "for length in sorted(lengths)"),
    },
    "15": {
        "own mean": ("world_size / tokens_of_all", "1 / max(1, len(losses))"),
        "sum": (" * world_size / tokens_of_all", ""),
        "devices forgotten": (" * world_size", ""),
        "divided twice": ("* world_size /", "/ world_size /"),
        "own share": ("world_size / tokens_of_all", "len(losses) / tokens_of_all"),
        "nothing for nobody": ("return sum", "return losses and sum"),
    },
    "16": {
        "upside down": ("tokens / reference", "reference / tokens"),
        "divided": ("beta ** (tokens / reference)", "beta * tokens / reference"),
        "rounded to a whole power": ("(tokens / reference)", "max(1, tokens // reference)"),
        "the second one only": (
            "tuple(beta ** (tokens / reference) for beta in betas)",
            "(betas[0], betas[1] ** (tokens / reference))",
        ),
        "what is forgotten": ("beta ** (tokens / reference)", "1 - (1 - beta) * tokens / reference"),
        "left as they are": ("tuple(beta ** (tokens / reference) for beta in betas)", "betas"),
    },
    "17": {
        "over the old one": ('part = path.with_name(path.name + ".part")', "part = path"),
        "not flushed": ("        os.fsync(file.fileno())\n", ""),
        "removed first": ("    part =", "    path.unlink(missing_ok=True)\n    part ="),
        "not renamed": ("    os.replace(part, path)", "    pass"),
        "copied": ("os.replace(part, path)", "path.write_text(part.read_text(encoding='utf-8'), encoding='utf-8')"),
        "joined, then over the old one": (
            'part = path.with_name(path.name + ".part")',
            'chunks, part = ["".join(chunks)], path',
        ),
    },
    "18": {
        "one device": (" * critical * devices)", " * critical)"),
        "every device takes all": ("round(wanted / devices)", "round(wanted)"),
        "memory forgotten": ("min(round(wanted / devices), fits)", "round(wanted / devices)"),
        "all for none": ("max(1, min(round(wanted / devices), fits))", "min(round(wanted / devices), fits) or fits"),
        "the smaller limit": (
            "math.sqrt(fixed / per_sample * critical * devices)",
            "min(fixed / per_sample, critical)",
        ),
        "no root": ("math.sqrt(fixed / per_sample * critical * devices)", "fixed / per_sample * critical * devices"),
        "upside down": ("fixed / per_sample", "per_sample / fixed"),
        "no fixed time": ("seconds[0] - per_sample * sizes[0]", "seconds[0]"),
        "iterations of one device": ("total = share * devices", "total = share"),
        "the fewest iterations": ("iterations[0] - slope / sizes[0]", "iterations[1]"),
        "rounded down": ("math.ceil(", "math.floor("),
    },
}


def cells(lesson: str) -> dict[str, str]:
    """The sources of an exercise's three cells, by tag."""
    found = {}
    for cell in jupytext.read(LESSONS[lesson]).cells:
        for kind in KINDS:
            if kind in cell.metadata.get("tags", []):
                assert kind not in found, f"two cells are tagged {kind}"
                found[kind] = cell.source
    return found


def attempt(lesson: str, answer: str):
    """Run the check's definition and an answer, which ends in its call, and nothing else of the lesson."""
    exec(cells(lesson)["exercise-check"] + "\n\n\n" + answer, {})


@pytest.mark.parametrize("lesson", LESSONS)
def test_a_lesson_has_an_exercise_with_check_and_folded_solution(lesson):
    text = LESSONS[lesson].read_text(encoding="utf-8")
    assert list(cells(lesson)) == KINDS
    for part in [
        "## Exercise\n",
        "```{exercise}\n:label: ",
        "```{solution-start} ",
        ":class: dropdown",
        "{solution-end}",
    ]:
        assert text.count(part) == 1, part
    assert text.index("## Check yourself") < text.index("## Exercise\n") < text.index("## Take away")
    assert {"skip-execution", "nbval-skip"} <= {
        tag
        for cell in jupytext.read(LESSONS[lesson]).cells
        if "exercise" in cell.metadata.get("tags", [])
        for tag in cell.metadata["tags"]
    }, "the page and the tests must not run the code that the reader is to change"
    calls = [cells(lesson)[kind].strip().split("\n")[-1] for kind in KINDS[1:]]
    assert calls[0] == calls[1] and calls[0].startswith("check_"), "both cells end in the same call of the check"


@pytest.mark.parametrize("lesson", LESSONS)
def test_the_code_to_change_fails_its_check_with_a_sentence(lesson):
    with pytest.raises(AssertionError) as failed:
        attempt(lesson, cells(lesson)["exercise"])
    assert len(str(failed.value).split("\n")[0]) > 15


@pytest.mark.parametrize("lesson", LESSONS)
def test_the_worked_solution_passes(lesson, capsys):
    attempt(lesson, cells(lesson)["exercise-solution"])
    assert capsys.readouterr().out.startswith("Right")


@pytest.mark.parametrize("lesson, name", [(lesson, name) for lesson, answers in WRONG.items() for name in answers])
def test_a_wrong_answer_fails(lesson, name):
    solution, (old, new) = cells(lesson)["exercise-solution"], WRONG[lesson][name]
    assert solution.count(old) >= 1, f"the solution of lesson {lesson} has no {old!r} any more"
    with pytest.raises(AssertionError):
        attempt(lesson, solution.replace(old, new))


@pytest.mark.parametrize("lesson", LESSONS)
def test_an_empty_answer_fails(lesson):
    call = cells(lesson)["exercise"].strip().split("\n")[-1]
    name = call.split("(")[1].rstrip(")")
    imports = [line for line in cells(lesson)["exercise"].split("\n") if line.startswith(("import ", "from "))]
    for body in ("None", "0", "arguments[0] if arguments else None"):
        with pytest.raises(Exception):  # noqa: B017, PT011 - a sentence or an error, but no success
            attempt(lesson, "\n".join([*imports, f"{name} = lambda *arguments, **choices: {body}", call]))
