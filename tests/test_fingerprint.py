"""A digest changes with everything that could change a result, and with nothing else."""

import importlib.util
import shutil
import sys

import pytest

from lib import fingerprint
from lib.fingerprint import LIB, canonical, of_function, of_modules

EXPERIMENT = '''
import math
from functools import cache

import numpy as np

from lib import plan
from lib.sampling import epoch_order

SIZES = (1, 2)
TABLE = object()


def twice(run):
    return run


def double(x):
    # a comment
    return 2 * x


@twice
@cache
def deeper(x):
    return double(x) + math.pi


def experiment(seeds, scale=SIZES[0]):
    """What it does."""
    from lib.data import mnist1d
    return [deeper(each) * SIZES[1] for each in epoch_order(3, 0, 0)], plan.TAILS, np.sum
'''


@pytest.fixture
def load(tmp_path):
    """A function that makes a module of a text, as a notebook or a script would be."""

    def load(text, name="experiment"):
        path = tmp_path / f"made{len(list(tmp_path.glob('made*.py')))}.py"
        path.write_text(text, encoding="utf-8")
        spec = importlib.util.spec_from_file_location("made", path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return getattr(module, name)

    return load


@pytest.fixture
def copied_lib(tmp_path, monkeypatch):
    copy = shutil.copytree(LIB, tmp_path / "lib")
    monkeypatch.setattr(fingerprint, "LIB", copy)
    return copy


def test_all_parts_are_found(load):
    assert list(of_function(load(EXPERIMENT))) == [
        "SIZES",
        "deeper",
        "double",
        "experiment",
        "lib.data",
        "lib.plan",
        "lib.sampling",
        "twice",
    ]


@pytest.mark.parametrize(
    "before, after, part",
    [
        ("SIZES = (1, 2)", "SIZES = (1, 3)", "SIZES"),
        ("return 2 * x", "return 3 * x", "double"),
        ("math.pi", "math.e", "deeper"),
        ("    return run", "    return run or None", "twice"),
        ("scale=SIZES[0]", "scale=SIZES[1]", "experiment"),
        ("SIZES[0]):", "5):", "experiment"),
        ("epoch_order(3, 0, 0)", "epoch_order(3, 0, 1)", "experiment"),
    ],
)
def test_each_part_counts(load, before, after, part):
    assert EXPERIMENT.count(before) == 1
    old, new = of_function(load(EXPERIMENT)), of_function(load(EXPERIMENT.replace(before, after)))
    assert part in {name for name in old.keys() | new.keys() if old.get(name) != new.get(name)}


def test_the_value_of_a_default_counts_not_only_its_name(load):
    text = "N = {}\ndef experiment(n=N):\n    return n\n"
    assert of_function(load(text.format(1))) != of_function(load(text.format(2)))


@pytest.mark.parametrize(
    "before, after",
    [
        ("    # a comment\n", ""),
        ('"""What it does."""', '"""What it does, in\n    other words."""'),
        ("return 2 * x", "return 2 * x  # why"),
        ("import math", "import os\nimport math"),
    ],
)
def test_words_do_not_count(load, before, after):
    assert EXPERIMENT.count(before) == 1
    assert of_function(load(EXPERIMENT)) == of_function(load(EXPERIMENT.replace(before, after)))


def test_code_on_the_line_of_a_docstring_counts(load):
    text = 'def experiment(x):\n    "Words"; return x + {}\n'
    assert of_function(load(text.format(1))) != of_function(load(text.format(2)))
    text = 'def experiment(x): "Words"; return "# no comment {}"\n'
    assert of_function(load(text.format(1))) != of_function(load(text.format(2)))


def test_modules_behind_a_module_count(copied_lib):
    before = of_modules("lib.training")
    assert {"lib.data", "lib.models", "lib.plan", "lib.sampling", "lib.training"} <= before.keys()
    assert "lib.sweep" not in before and "lib.figures" not in before
    path = copied_lib / "sampling.py"
    path.write_text(path.read_text(encoding="utf-8") + "\n# only words\n", encoding="utf-8")
    assert of_modules("lib.training") == before
    path.write_text(
        path.read_text(encoding="utf-8").replace("permutation(num_samples)", "permutation(num_samples)[::-1]"),
        encoding="utf-8",
    )
    after = of_modules("lib.training")
    assert [name for name in before if before[name] != after[name]] == ["lib.sampling"]


def test_a_function_of_lib_itself():
    from lib.sampling import batches, epoch_order

    assert set(of_function(epoch_order)) == {"epoch_order", "lib.sampling"}
    assert of_function(epoch_order) != of_function(batches)


@pytest.mark.parametrize(
    "text, message",
    [
        ("T = object()\ndef experiment():\n    return T", "experiment uses T, which holds a object"),
        ("T = {1: {2}}\ndef experiment():\n    return [T for _ in range(3)]", "uses T, which holds a set"),
        ("class A:\n    pass\ndef experiment():\n    return A()", "class A of its own file"),
        (
            "import lib.plan\ndef experiment():\n    return lib.plan.TAILS",
            "uses lib, which could be any of its modules",
        ),
        (
            "def around(x):\n    def inside():\n        return x\n    return inside\nexperiment = around(1)",
            "uses x of the function around it",
        ),
        ("experiment = lambda: 1", "make it with def"),
        ("f = lambda: 1\ndef experiment():\n    return f()", "f is a lambda"),
        ("experiment = len", "made with def"),
    ],
)
def test_what_has_no_digest_is_refused(load, text, message):
    with pytest.raises(TypeError, match=message):
        of_function(load(text))


def test_equal_choices_have_one_text():
    import numpy as np

    assert canonical({"b": range(3), "a": np.float64(0.1)}) == canonical({"a": 0.1, "b": (0, 1, 2)})
    assert canonical({"a": np.arange(2)}) == '{"a": [0, 1]}' != canonical({"a": [0, 2]})
    with pytest.raises(TypeError, match="The configuration holds a set"):
        canonical({"a": {1}})


def test_importing_it_needs_no_torch():
    import subprocess

    code = "import sys, lib.fingerprint, lib.records; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=LIB.parent)
