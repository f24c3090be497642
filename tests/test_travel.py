"""Do the verdicts travel: planted cases whose answer is known, the rules, the records and the page."""

import html
import math
import re
from dataclasses import replace
from functools import cache

import numpy as np
import pandas as pd
import pytest
import torch

from book import reasons
from book import travel as book
from lib.data import Dataset
from lib.experiments import travel, verdicts
from lib.experiments.search import RULES, STEP
from lib.experiments.travel import CHOOSING, FIXED, REPORTED, TABLES, WORKLOADS, cell, evaluated, scatter
from lib.experiments.verdicts import CLAIMS, Condition, Runs, matrix, together
from lib.models import initialized, mlp
from lib.noise_scale import gradient_moments
from lib.statistics import Interval
from lib.workload import regression

# One cell


def line(num=64, noise=0.0):
    """Points on a line, at -1 and 1: the loss is a bowl equally steep everywhere, and 0.5 its best learning rate."""
    x = np.tile([[-1.0], [1.0]], (num // 2, 1)).astype("float32")
    y = 3 * x + noise * np.random.default_rng(0).normal(size=x.shape).astype("float32")
    data = Dataset("a line", x, y, np.tile(x, (2, 1)), np.tile(3 * x, (2, 1)))
    return regression(mlp(1, 1), data.hold_out(num))


def test_a_cell_finds_the_known_best_rate_and_reports_with_other_seeds():
    recipe = {"optimizer": "sgd", "batch_size": 64, "schedule": "constant"}
    runs = cell(line(), "cpu", recipe, {"iterations": 60, "target": 0.01}, guess=0.5 / STEP**2, fixed=0.25)
    chosen, reported = runs[runs["stage"] == "chosen"], runs[runs["stage"] == "reported"]
    assert np.allclose(sorted(chosen["learning_rate"].unique()), 0.5 * STEP ** np.arange(-4, 3))
    names = reported.groupby("rules")["learning_rate"].unique()
    assert names[", ".join(RULES)] == pytest.approx([0.5]) and names[FIXED] == [0.25]  # one iteration to the bottom
    assert (set(chosen["seed"]), set(reported["seed"])) == (set(CHOOSING), set(REPORTED))
    found = reported.groupby("rules")[["score", "samples"]].mean()
    assert found.loc[", ".join(RULES)].tolist() == [1.0, 64.0] and found.loc[FIXED, "score"] > 1
    lost = chosen["learning_rate"] > 1  # from wall to wall, further each time
    assert chosen.loc[lost, "score"].eq(math.inf).all() and (chosen["failed"] == lost).all()


def test_a_run_that_overfits_has_not_failed_and_one_that_learned_nothing_has():
    def run(seed, train_loss, validation_loss):
        rows = {"learning_rate": 1.0, "seed": seed, "iteration": [0, 10], "samples": [0, 80], "status": "ok"}
        losses = {"train_loss": train_loss, "validation_loss": validation_loss}
        return pd.DataFrame(rows | losses | {"validation_accuracy": 0.5})

    runs = pd.concat([run(0, [2.0, 0.1], [2.0, 5.0]), run(1, [2.0, 2.5], [2.0, 1.9]), run(2, [2.0, 0.1], [2.0, 0.2])])
    found = evaluated(runs, None, "validation").set_index("seed")
    assert found["failed"].tolist() == [False, True, False] and found["score"].eq(0.5).all()
    assert evaluated(runs, 1.0, "validation")["failed"].all()  # none arrived


def test_runs_of_equal_length_are_scored_by_what_is_wrong_or_by_their_loss():
    recipe = {"optimizer": "sgd", "batch_size": 16, "schedule": "cosine"}
    runs = cell(line(noise=0.1), "cpu", recipe, {"epochs": 2}, guess=0.25)
    fine = runs[~runs["failed"]]
    assert np.allclose(fine["score"], fine["loss"]) and len(fine) and (runs["kept"] <= runs["loss"] + 1e-12).any()
    assert torch.get_default_dtype() == torch.float32  # put back


def test_the_scatter_of_gradients_is_the_known_one():
    workload = line(noise=1.0)
    found = scatter(workload, "cpu", seed=1, sizes=[4, 16, 64], iterations=2, learning_rate=0.1)
    exact = gradient_moments(workload, initialized(workload.model, 1, torch.float64))
    start = found[found["iteration"] == 0]
    assert np.allclose(start["variance"] * start["batch_size"] / exact.trace, 1, atol=0.5)
    assert np.allclose(start["noise_scale"], exact.noise_scale)


# The rule


@pytest.mark.parametrize(
    "low, high, verdict",
    [(1.1, 2.0, "holds"), (0.5, 0.9, "does not hold"), (0.9, 1.1, "not shown"), (math.nan, math.nan, "not shown")],
)
def test_a_condition_is_judged_by_its_whole_interval(low, high, verdict):
    assert Condition("", Interval(1.0, low, high, 5)).verdict(1, math.inf) == verdict


@pytest.mark.parametrize(
    "parts, verdict",
    [
        (["holds"], "holds"),
        (["does not hold", "does not hold"], "does not hold"),
        (["holds", "does not hold", "not shown"], "holds only if"),
        (["holds", "not shown"], "not shown"),
        (["does not hold", "not shown"], "not shown"),
        (["not shown"], "not shown"),
    ],
)
def test_the_verdict_over_all_conditions(parts, verdict):
    assert together(parts) == verdict and verdict in verdicts.VERDICTS


# Planted records


def planted(steps=None, best=None, score=None, noise=None):
    """A record of the first workload whose numbers follow from formulas; small differences between seeds.

    steps(optimizer, size): iterations to the target. best(optimizer, size): the best learning rate.
    score(kind, size, schedule): what is wrong at the best rate. noise(iteration): the noise scale.
    """
    steps = steps or (lambda optimizer, size: 100 * (1 + 64 / size))
    best = best or (lambda optimizer, size: 0.01 * size ** (0.5 if optimizer == "adam" else 1.0))
    score = score or (lambda kind, size, schedule: 0.2)
    noise = noise or (lambda iteration: 20.0 if iteration == 0 else 64.0)
    settings = WORKLOADS["mlp"].runs("cpu")
    tables = {name: [] for name in TABLES}
    for number, each in enumerate(settings):
        own = each["settings"]
        if each["part"] == "noise":
            for iteration in (0, own["iterations"]):
                for size in own["sizes"]:
                    wobble = 1 + 0.01 * (own["seed"] % 5)
                    row = {"seed": own["seed"], "iteration": iteration, "batch_size": size, "variance": wobble / size}
                    tables["noise"].append(row | {"noise_scale": noise(iteration) * wobble, "run": number})
        elif each["part"] == "speed":
            tables["speed"] += [{"batch_size": s, "seconds": 1e-4 + 1e-6 * s, "run": number} for s in own["sizes"]]
        else:
            optimizer, size = own["recipe"]["optimizer"], own["recipe"]["batch_size"]
            schedule, budget = own["recipe"]["schedule"], own["budget"]
            at = {"target": steps(optimizer, size)} if "target" in budget else {}
            lowest = at.get("target", score(next(iter(budget)), size, schedule))
            center = best(optimizer, size)
            stages = [("chosen", "", CHOOSING, [center * STEP**k for k in (-2, -1, 0, 1, 2)])]
            stages += [("reported", ", ".join(RULES), REPORTED, [center])]
            stages += [("reported", FIXED, REPORTED, [own["fixed"]])] if "fixed" in own else []
            for stage, rules, seeds, rates in stages:
                for rate in rates:
                    for seed in seeds:
                        factor = (1 + 0.1 * math.log(rate / center, STEP) ** 2) * (1 + 0.002 * (seed % 5))
                        row = {"learning_rate": rate, "seed": seed, "score": lowest * factor, "stage": stage}
                        row |= {"rules": rules}
                        row |= {
                            "samples": lowest * factor * size,
                            "loss": 1.0,
                            "train_loss": 0.5,
                            "kept": 1.0 / (1 + 0.002 * (seed % 5)),
                        }
                        tables["runs"].append(row | {"failed": False, "run": number})
    return Runs({name: pd.DataFrame(rows) for name, rows in tables.items()}, settings)


@cache
def plain():
    """The matrix of the record that is planted without further words."""
    return matrix({"mlp": planted()})


def verdict_of(name, **how):
    cells = {each.claim.name: each for each in (matrix({"mlp": planted(**how)}) if how else plain())}
    assert list(cells) == [claim.name for claim in CLAIMS]
    return cells[name]


def test_a_planted_law_is_found_with_its_critical_batch_size():
    runs = planted()
    assert verdicts.law(runs, "sgd").b_crit.estimate == pytest.approx(64, rel=1e-3)
    assert verdict_of("law").verdict == "holds" and verdict_of("halves").verdict == "holds only if"
    assert verdict_of("law", steps=lambda o, size: 1e4 / size if size != 64 else 1e4).verdict == "does not hold"


def test_planted_noise():
    assert verdict_of("noise-law").verdict == "holds" and verdict_of("noise-grows").verdict == "holds"
    assert verdict_of("noise-grows", noise=lambda i: 20 if i else 64).verdict == "does not hold"
    assert verdict_of("noise-predicts").verdict == "holds"
    assert verdict_of("noise-predicts", noise=lambda i: 1.0).verdict == "does not hold"


def test_a_claim_about_samples_of_their_own_leaves_batch_normalisation_out():
    cells = [each.claim.name for each in matrix({"mlp": planted(noise=lambda i: math.nan)})]
    assert "noise-grows" not in cells and "noise-predicts" not in cells and "noise-law" in cells


def test_planted_learning_rates():
    assert verdict_of("linear-rule").verdict == "holds" and verdict_of("root-rule").verdict == "holds"
    bent = verdict_of("linear-rule", best=lambda o, size: 0.01 * min(size, 64))
    assert bent.verdict == "holds only if"
    assert {name.name: v for name, v in bent.conditions}["SGD to the target, up to 64"] == "holds"
    assert verdict_of("root-rule", best=lambda o, size: 0.01 * size).verdict == "does not hold"


def test_planted_generalization():
    gap = lambda kind, size, schedule: 0.2 + 0.0002 * size * (kind == "epochs") * (schedule == "constant")  # noqa: E731
    assert verdict_of("equal-epochs", score=gap).verdict == "holds only if"  # with a constant rate
    assert verdict_of("equal-iterations", score=gap).verdict == "does not hold"
    assert verdict_of("as-is").verdict in verdicts.VERDICTS
    assert verdict_of("repeats").verdict == "holds" and verdict_of("early-stopping").verdict == "does not hold"


def test_planted_clocks_and_optimizers():
    assert verdict_of("fewer-iterations").verdict == "holds" and verdict_of("samples-first").verdict == "holds"
    assert verdict_of("seconds-first").verdict == "holds"  # 100 + 1 microseconds a sample: in between
    later = {"sgd": 64, "momentum": 640, "adam": 640}
    assert verdict_of("moves-critical", steps=lambda o, size: 100 * (1 + later[o] / size)).verdict == "holds"
    assert verdict_of("moves-critical").verdict != "holds"


def test_a_run_that_does_not_arrive_is_not_averaged_away():
    runs = planted()
    table = runs.of["sgd", "constant", "target"][4]
    table.loc[table.index[(table["stage"] == "reported") & (table["seed"] == REPORTED[0])], "score"] = math.inf
    cells = {each.claim.name: each.verdict for each in matrix({"mlp": runs})}
    assert cells["law"] == cells["noise-predicts"] == cells["fewer-iterations"] == "not shown"


# The designs and their names


@pytest.mark.parametrize("name", WORKLOADS)
def test_a_design_says_which_device_and_tunes_apart_from_what_it_reports(name):
    runs = WORKLOADS[name].runs("cuda")
    assert {each["device"] for each in runs} == {"cuda"} and not set(CHOOSING) & set(REPORTED)
    assert len({str(each) for each in runs}) == len(runs)


def test_a_gpu_has_records_of_its_own(monkeypatch):
    asked = {}
    monkeypatch.setattr(travel, "remember_long", lambda name, e, runs, tolerance: asked.setdefault(name, runs))
    for make in (*travel.ON_CPU, *travel.ON_CUDA):
        make()
    assert set(asked) == {f"travel-{w}{end}" for w in WORKLOADS for end in ("", "-cuda")}
    assert asked["travel-mlp-cuda"][0]["device"] == "cuda" and asked["travel-mlp"][0]["device"] == "cpu"


# The records


@pytest.fixture(scope="module", params=WORKLOADS)
def record(request):
    """The record of a workload, as the page reads it."""
    assert request.param in book.records(), "there is no record of it; make it with: make records"
    return book.records()[request.param]


def test_a_record_holds_every_rate_that_was_tried_and_none_is_best_on_an_edge(record):
    settings, table = record.runs, record.tables["runs"]
    assert set(table["run"]) == {number for number, each in enumerate(settings) if each["part"] == "runs"}
    for number, runs in table.groupby("run"):
        chosen, reported = (runs[runs["stage"] == stage] for stage in ("chosen", "reported"))
        assert (set(chosen["seed"]), set(reported["seed"])) == (set(CHOOSING), set(REPORTED))
        scores = chosen.pivot(index="learning_rate", columns="seed", values="score")
        rates = scores.index.tolist()
        assert (
            np.allclose(np.diff(np.log(rates)), math.log(STEP))
            and scores.shape[1] == 5
            and scores.notna().all(axis=None)
        )
        assert np.isinf(chosen.loc[chosen["failed"], "score"]).all() and np.isfinite(scores.min(axis=None))
        best = rates.index(scores.mean(axis=1).idxmin())
        rules = {"best mean": rates[best], "best median": scores.median(axis=1).idxmin()}
        rules["margin"] = rates[best - bool(np.isinf(scores.iloc[best + 1]).any())]
        assert all(rates[0] < rate < rates[-1] for rate in rules.values())
        rules |= {FIXED: settings[number]["settings"][FIXED]} if FIXED in settings[number]["settings"] else {}
        named = {
            rule: rate
            for rate, names in zip(reported["learning_rate"], reported["rules"])
            for rule in names.split(", ")
        }
        assert named == rules and len(reported) == 5 * len(set(rules.values()))


def test_the_rate_for_all_sizes_is_what_a_search_at_the_smallest_finds_or_near_it(record):
    runs = Runs(record.tables, record.runs)
    rate = runs.reported(runs.sizes("epochs")[0], "epochs")["learning_rate"].iloc[0]
    assert 1 / 2 <= runs.fixed / rate <= 2


# The page


def test_the_matrix_has_every_claim_and_every_workload_and_leads_to_each_cell():
    page = book.matrix().data + "".join(book.effects(workload).data for workload in book.records())
    head, *rows = re.findall("<tr>.*?</tr>", book.matrix().data)
    assert [html.unescape(re.sub("<.*?>", "", each)) for each in re.findall("<th.*?</th>", head)][1:] == [
        design.title for design in WORKLOADS.values()
    ]
    assert len(rows) == len(CLAIMS) and all(row.count("<td") == len(WORKLOADS) for row in rows)
    links, ids = re.findall('href="#(.*?)"', page), re.findall(' id="(.*?)"', page)
    assert sorted(links) == sorted(ids) and len(set(ids)) == len(ids) == len(book.cells())


def test_a_workload_without_a_record_is_not_measured(tmp_path, monkeypatch):
    monkeypatch.setattr(book, "records", lambda device="cpu": {})
    monkeypatch.setattr(book, "cells", lambda device="cpu": [])
    assert book.matrix().data.count("<td>not measured</td>") == len(CLAIMS) * len(WORKLOADS)
    assert "make records" in book.provenance("mlp").data and "make gpu" in book.on_gpu().data


def test_a_gpu_that_finds_otherwise_is_named(monkeypatch):
    workload = next(iter(book.records()))
    stand_in = book.records()[workload]
    stand_in = replace(stand_in, provenance=stand_in.provenance | {"machine": {"gpu": "Abacus 9000"}})
    cells = [cell for cell in book.cells() if cell.workload == workload]
    there = [replace(cells[0], verdict="unheard of"), *cells[1:]]
    monkeypatch.setattr(book, "records", lambda device="cpu": {workload: stand_in})
    monkeypatch.setattr(book, "cells", lambda device="cpu": there if device == "cuda" else cells)
    words = book.on_gpu().data
    assert (
        f"On Abacus 9000, {len(cells) - 1} of {len(cells)}" in words and f"{cells[0].claim.name} on {workload}" in words
    )


def test_every_claim_has_a_sentence():
    lines = [line for line in book.travels().data.splitlines() if line.startswith("- ")]
    assert len(lines) == len(CLAIMS) and all("](lessons/" in line for line in lines)


# Why


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.name)
def test_every_verdict_that_does_not_travel_has_its_reason(claim):
    cells = [each for each in book.cells() if each.claim is claim]
    why, left_open = reasons.why(claim, cells, book.runs()), " ".join(reasons.still_open(cells))
    for each in cells:
        name, found = reasons.SHORT[each.workload], [verdict for _, verdict in each.conditions]
        fails = found.count("does not hold")
        assert (f"on {name} (" in left_open) == (each.verdict == "not shown" and not fails)
        failing = f"On {name} it fails under {fails} of {len(found)} conditions"
        assert (failing in left_open) == (each.verdict == "not shown" and fails > 0)
        if fails:
            assert reasons.SHORT[each.workload] in why or claim.name == "equal-iterations" and why


def test_reasons_are_read_off_the_runs():
    its, rest = {"mlp": planted(steps=lambda optimizer, size: 100 * (1 + 100 / size))}, {}
    assert "is 100 on the MLP (2 of 5 batch sizes lie above it)." in reasons.halves(its, rest)
    assert "is 100 on the MLP (2 of 5 batch sizes lie above it)." in reasons.root_rule(its, rest)
    assert reasons.linear_rule(its, rest).endswith("the exponents are 1.00 and 1.00 on the MLP.")
    slow = planted(best=lambda optimizer, size: 0.01 * size**0.6)
    assert reasons.linear_rule({"mlp": slow}, rest).endswith(
        "0.60 on the MLP. So this is at most a part of the reason."
    )
    full = {"mlp": planted(steps=lambda optimizer, size: 100 * (1 + 2 / size))}
    assert reasons.linear_rule(full, rest).endswith("is 2 on the MLP (5 of 5 batch sizes lie above it).")
    nearly = {"mlp": planted(steps=lambda optimizer, size: 100 * (1 + 800 / size))}
    assert reasons.halves(nearly, rest).endswith("(1 of 5 batch sizes lies above it).")
    assert "from 0.2 times the critical batch size at the start to 0.65 times" in reasons.noise_predicts(its, rest)
    assert "multiplied by 0.31 and 1 on the MLP" in reasons.noise_grows(its, rest)
    grid = its["mlp"].chosen(4, "epochs")
    center = grid["learning_rate"].median()
    assert reasons.tied_with_best(grid) == [center]  # a step away is a tenth worse for every seed
    level = grid.assign(score=grid["score"].where(grid["learning_rate"] > 2 * center, 0.1 + 0.01 * grid["seed"]))
    assert reasons.tied_with_best(level) == sorted(rate for rate in set(grid["learning_rate"]) if rate < 2 * center)
    assert "1 of the 5 rates tried for batch size 4, from" in reasons.equal_epochs(its, rest)
    assert "at least 64 times as many samples" in reasons.equal_iterations(its, rest)
    assert (
        "times the training loss: 2 on the MLP, against 2 on the MLP, where the claim holds."
        in reasons.early_stopping(its, its)
    )
    assert "from 0.50 to 0.50 and from 1.00 to 1.00 on the MLP" in reasons.repeats(its, rest)
    assert reasons.small_statistics(its, rest) == "" != reasons.small_statistics({"batch-norm": its["mlp"]}, rest)


def test_what_is_not_shown_is_said_with_its_interval():
    cells = [each for each in matrix({"mlp": planted()}) if each.claim.name == "moves-critical"]
    assert re.search(
        r"too few to tell on the MLP \(open under 2 of 2 conditions; momentum: \d", *reasons.still_open(cells)
    )
    assert reasons.still_open([each for each in plain() if each.verdict == "holds"]) == []


def test_a_condition_that_failed_is_not_hidden_behind_an_open_one():
    found = [(Condition("a, b", Interval(1.0, 0.5, 1.5, 5)), "not shown")]
    found += [(Condition(name, Interval(0.5, 0.4, 0.6, 5)), "does not hold") for name in ("c", "d")]
    claim = next(each for each in CLAIMS if each.name == "early-stopping")
    (words,) = reasons.still_open([verdicts.Cell(claim, "cnn", "not shown", found)])
    assert words == "On the CNN it fails under 2 of 3 conditions and is open under one (a, b: 1.00 ± 0.50 %)."
    assert book.separated(verdicts.Cell(claim, "mlp", "holds only if", [*found, (found[0][0], "holds")])).endswith(
        "it holds with: a, b. It fails with: c; d."
    )


def test_only_workloads_where_a_claim_holds_are_set_against_those_where_it_fails():
    cells = [each for each in book.cells() if each.claim.name == "early-stopping"]
    against = reasons.why(cells[0].claim, cells, book.runs()).split(", against ")[1]
    names = {each.workload for each in cells if re.search(f"on {reasons.SHORT[each.workload]}(,| and )", against)}
    assert names == {each.workload for each in cells if each.verdict == "holds"}
