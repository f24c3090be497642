"""A digest changes with everything that could change a result, and with nothing else."""

import importlib.util
import linecache
import shutil
import subprocess
import sys
import textwrap

import pytest

from lib import fingerprint
from lib.experiments import advised
from lib.fingerprint import LIB, canonical, of_function
from lib.sources import Library

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
    return [deeper(each) * SIZES[1] for each in epoch_order(3, 0, 0)], plan.TAILS, np.sum, mnist1d
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
    found = list(of_function(load(EXPERIMENT)))
    assert [name for name in found if not name.startswith("lib.")] == [
        "SIZES",
        "deeper",
        "double",
        "experiment",
        "twice",
    ]
    assert {"lib.data.mnist1d", "lib.data._generate", "lib.plan.TAILS", "lib.sampling.epoch_order"} <= set(found)
    assert not {"lib.data.digits", "lib.sampling.batches", "lib.plan.TrainingPlan", "TABLE"} & set(found)


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


def test_a_function_of_lib_itself():
    from lib.sampling import batches, epoch_order

    assert set(of_function(epoch_order)) == {
        "lib.checks.NotAWholeNumber",
        "lib.checks._index",
        "lib.checks.whole_number",
        "lib.sampling.ORDER",
        "lib.sampling.epoch_order",
        "lib.sampling.generator",
    }
    assert of_function(epoch_order) != of_function(batches)


@pytest.mark.parametrize(
    "text, message",
    [
        ("T = object()\ndef experiment():\n    return T", "experiment uses T, which holds a object"),
        ("T = {1: {2}}\ndef experiment():\n    return [T for _ in range(3)]", "uses T, which holds a set"),
        (
            "def around(x):\n    def inside():\n        return x\n    return inside\nexperiment = around({1})",
            "uses around.<locals>.inside.x, which holds a set",
        ),
        ("experiment = lambda: 1", "make it with def"),
        ("f = lambda: 1\ndef experiment():\n    return f()", "f is a lambda"),
        ("experiment = len", "made with def"),
    ],
)
def test_what_has_no_digest_is_refused(load, text, message):
    with pytest.raises(TypeError, match=message):
        of_function(load(text))


# A library made for these tests: what each change reaches --------------------------------

SMALL = {
    "__init__": '"""Words."""\n',
    "tools": '''
        """Words."""
        from dataclasses import dataclass, field

        FACTOR = 2
        RATES = {"constant": lambda k: 1.0, "linear": lambda k: 1 - k}
        KINDS = {}
        UNUSED = 7
        START = FACTOR + 1

        def register(name):
            def keep(made):
                KINDS[name] = made
                return made
            return keep

        @register("mean")
        def mean(values):
            return sum(values) / len(values)

        def doubled(function):
            return lambda x: 2 * function(x)

        @doubled
        def decorated(x):
            return x

        def with_default(x, start=START):
            return x + start

        def counted():
            global COUNT
            COUNT = 5

        COUNT = 0

        @dataclass
        class Base:
            size: int = 1
            names: list = field(default_factory=list)

            def shared(self):
                return helper(self.size)

        class Workload(Base):
            """Words."""

            def loss(self, x):
                if x < 0:
                    raise ValueError(f"x is {x!r}, but it must be at least 0.")
                return self.shared() + x

        def helper(x):
            return x + 1

        def unused(x):
            return UNUSED

        def make():
            step = 3
            def inner(x):
                return x * step
            return inner

        def by_name(name):
            return RATES[name]

        try:
            import nothing_of_this_name as fast
        except ImportError:
            fast = None
    ''',
    "engine": '''
        import warnings

        import numpy as np

        import lib.tools
        from lib import tools as t
        from lib.tools import Workload as W
        from lib.tools import make

        def trained(workload, steps: int = 3) -> float:
            """Words."""
            # a comment
            warnings.warn("slow", stacklevel=2)
            assert steps > 0, "steps must be positive"
            return sum(workload.loss(k) for k in range(steps))

        def experiment():
            return trained(W()) + t.FACTOR

        def calls_inside():
            from lib.tools import decorated
            return decorated(1)

        def calls_default():
            return lib.tools.with_default(1)

        def calls_closure():
            return make()(2)

        def calls_table():
            return t.by_name("linear")(1), np.mean

        def calls_counted():
            return t.COUNT

        def calls_kinds():
            return t.KINDS["mean"]([1])

        def calls_string(name):
            return getattr(t, name)

        def calls_imported(name):
            import importlib
            return importlib.import_module(name)

        def calls_fast():
            return t.fast
    ''',
    "apart": """
        ALONE = 1
        def alone():
            return ALONE
    """,
}


@pytest.fixture
def small(tmp_path, monkeypatch):
    """Digests of a function of the library above, with one text replaced by another."""

    def digests(function="experiment", module="tools", before="", after=""):
        folder = tmp_path / "small"
        folder.mkdir(exist_ok=True)
        for name, text in SMALL.items():
            text = textwrap.dedent(text)
            if name == module and before:
                assert text.count(before) == 1, text.count(before)
                text = text.replace(before, after)
            (folder / f"{name}.py").write_text(text, encoding="utf-8")
        reached = Library(folder).reached([("lib.engine", function)])
        return {name: fingerprint.digest(text) for name, text in reached.items()}

    return digests


@pytest.mark.parametrize(
    "function, module, before, after",
    [
        ("experiment", "engine", "range(steps)", "range(steps + 1)"),
        ("experiment", "engine", "steps: int = 3", "steps: int = 4"),
        ("experiment", "tools", "FACTOR = 2", "FACTOR = 3"),
        ("experiment", "tools", "return x + 1", "return x + 2"),  # behind a method of a base class
        ("experiment", "tools", "size: int = 1", "size: int = 2"),
        ("experiment", "tools", "x < 0", "x <= 0"),
        ("experiment", "tools", "names: list = field", "more: int = 0\n    names: list = field"),
        ("experiment", "tools", "raise ValueError", "raise TypeError"),
        ("experiment", "tools", "    size: int = 1", "    size = 1"),  # no field of the dataclass any more
        ("experiment", "engine", "warnings.warn(", "print("),
        ("experiment", "engine", "import Workload as W", "import Base as W"),
        ("experiment", "engine", "stacklevel=2", "stacklevel=3"),
        ("calls_inside", "tools", "2 * function(x)", "3 * function(x)"),  # a decorator
        ("calls_inside", "tools", "    return x\n\ndef with_default", "    return -x\n\ndef with_default"),
        ("calls_default", "tools", "START = FACTOR + 1", "START = FACTOR + 2"),
        ("calls_default", "tools", "FACTOR = 2", "FACTOR = 3"),  # two steps behind a default
        ("calls_closure", "tools", "step = 3", "step = 4"),
        ("calls_table", "tools", "1 - k", "2 - k"),  # a lambda in a dict
        ("calls_table", "engine", "np.mean", "np.sum"),
        ("calls_table", "engine", "import numpy as np", "import scipy as np"),
        ("calls_counted", "tools", "COUNT = 5", "COUNT = 6"),  # set by a function
        ("calls_kinds", "tools", "sum(values)", "max(values)"),  # put into a table by its decorator
        ("calls_string", "tools", "UNUSED = 7", "UNUSED = 8"),  # any attribute of the module
        ("calls_imported", "apart", "ALONE = 1", "ALONE = 2"),  # any module
        ("calls_fast", "tools", "fast = None", "fast = 1"),
        ("experiment", "tools", "UNUSED = 7", "UNUSED = 7\nFACTOR += 1"),
        ("experiment", "tools", "UNUSED = 7", "UNUSED = 7\nimport os\nos.environ.update(A='1')"),
        ("experiment", "tools", "UNUSED = 7", "UNUSED = 7\nWorkload_loss = 1\nprint(UNUSED)"),
        ("experiment", "engine", "def calls_fast", "W.loss = calls_default\ndef calls_fast"),
    ],
)
def test_a_change_of_what_is_used_counts(small, function, module, before, after):
    assert small(function) != small(function, module, before, after)


@pytest.mark.parametrize(
    "function, module, before, after",
    [
        ("experiment", "engine", '"""Words."""', '"""Other words,\n    and more."""'),
        ("experiment", "engine", "# a comment", "# another"),
        ("experiment", "engine", "steps: int = 3) -> float", "steps=3)"),
        ("experiment", "engine", 'warn("slow"', "warn(f'this is slow: {steps}'"),
        ("experiment", "engine", '"steps must be positive"', "'steps is %s' % steps"),
        ("experiment", "engine", "range(steps))", "range(\n        steps\n    ))"),
        ("experiment", "engine", "import numpy as np", "import numpy as np, scipy"),
        ("experiment", "engine", "np.mean", "np.sum"),  # of another function
        ("experiment", "tools", 'f"x is {x!r}, but it must be at least 0."', '"x: {}".format(x) + "!"'),
        ("experiment", "tools", 'class Workload(Base):\n    """Words."""', "class Workload(Base):\n    'W'"),
        ("experiment", "tools", "size: int = 1", "size: float = 1"),
        ("experiment", "tools", "UNUSED = 7", "UNUSED = 8"),
        ("experiment", "tools", "return UNUSED", "return 9"),
        ("experiment", "tools", "def unused(x)", "def unused(x, y)"),
        ("experiment", "tools", "step = 3", "step = 4"),
        ("experiment", "tools", "def unused", "def added():\n    return 1\n\ndef unused"),
        ("experiment", "apart", "ALONE = 1", "ALONE = 2"),
        ("experiment", "apart", "ALONE = 1", "ALONE = 1\nprint(ALONE)"),  # of a module that is not imported
        ("experiment", "tools", "fast = None", "fast = 1"),
        ("calls_closure", "tools", "return x + 1", "return x + 2"),
        ("experiment", "__init__", '"Words."', '"Other."'),
    ],
)
def test_a_change_of_anything_else_does_not(small, function, module, before, after):
    assert small(function) == small(function, module, before, after)


def test_files_that_a_function_reads_count(small, tmp_path):
    folder = tmp_path / "small"
    before = small("calls_table", "engine", "np.mean", "open('table.bin')")
    (folder / "table.bin").write_bytes(b"1")
    with_file = Library(folder).reached([("lib.engine", "calls_table")])
    (folder / "table.bin").write_bytes(b"2")
    assert with_file != Library(folder).reached([("lib.engine", "calls_table")])
    assert before.keys() == with_file.keys()


FILES = {
    "a.py": "from .b import *\nfrom . import p\ndef f():\n    return g(), p.sub.h, other()\n",
    "b.py": "def g():\n    pass\ndef other():\n    pass\ndef not_used():\n    pass\n",
    "p/__init__.py": "from lib.p import sub\nfrom .sub import h as again\n",
    "p/sub.py": "from ..b import other as o\ndef h():\n    return o()\ndef quiet():\n    pass\n",
    "c.py": "def f():\n    return ['-m', 'lib.d']\n",
    "d.py": "def run():\n    pass\nif __name__ == '__main__':\n    run()\n",
    "e.py": "import lib.p\nfrom lib.p import again\ndef f():\n    return again, lib.p.sub.quiet\n",
    "g.py": "from lib import p\ndef f():\n    return p\n",
    "h.py": "def __getattr__(name):\n    return 1\n",
    "i.py": "def f():\n    from lib import h\n    return h.anything\n",
    "j.py": "def f(x):\n    return type(x).__subclasses__()\n",
    "k.py": "from lib import l\nTABLE = {}\ndef f(name):\n    return TABLE[name]\nassert f\n",
    "l.py": "class Base:\n    def __init_subclass__(cls):\n        pass\nclass One(Base):\n    pass\nB = 1\n",
}

ALL = {f"{name}.f" for name in "acegijk"} | {"b.g", "b.other", "b.not_used", "p.sub.h", "p.sub.quiet", "d.run"}
ALL |= {"d.(as a program)", "h.__getattr__", "k.TABLE", "k.(on import)", "l.Base", "l.One", "l.B"}


@pytest.mark.parametrize(
    "start, reached",
    [
        ("a", {"a.f", "b.g", "b.other", "p.sub.h"}),
        ("c", {"c.f", "d.run", "d.(as a program)"}),
        ("e", {"e.f", "p.sub.h", "p.sub.quiet", "b.other"}),
        ("g", {"g.f", "p.sub.h", "p.sub.quiet", "b.other"}),
        ("i", {"i.f", "h.__getattr__"}),
        ("k", {"k.f", "k.TABLE", "k.(on import)", "l.One", "l.Base"}),
        ("j", ALL),
    ],
)
def test_every_way_to_name_things(tmp_path, start, reached):
    (tmp_path / "p").mkdir()
    for name, text in FILES.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    assert set(Library(tmp_path).reached([(f"lib.{start}", "f")])) == {f"lib.{name}" for name in reached}


# The library itself ----------------------------------------------------------------------


def used_while(function):
    """The functions and classes of ``lib`` whose code runs in this process during a call."""
    called = set()

    def note(frame, event, argument):
        name = frame.f_globals.get("__name__", "")
        own = frame.f_code.co_filename.startswith(str(LIB)) and not frame.f_code.co_qualname.startswith("<")
        if event == "call" and name.split(".")[0] == "lib" and own:
            called.add(f"{name}.{frame.f_code.co_qualname.split('.')[0]}")

    sys.setprofile(note)
    try:
        function()
    finally:
        sys.setprofile(None)
    return called


def small_sweep():
    from lib.data import mnist1d
    from lib.models import cnn, mlp
    from lib.sweep import sweep
    from lib.workload import classification

    data = mnist1d(80, 20)
    for model in (mlp(40, 8, 10), cnn(4), cnn(4, batch_norm=True)):
        sweep(
            classification(model, data),
            batch_size=[8, 80],
            learning_rate=0.1,
            seed=[0, 1],
            epochs=1,
            n_jobs=1,
            device="cpu",
        )


def small_noise():
    from lib.experiments.noise import batch_losses

    return batch_losses(sizes=[10], num_batches=2, iterations=3, learning_rate=0.1)


def small_plan():
    from lib import plan

    return str(plan.TrainingPlan(100, 8, 2)), plan.TrainingPlan(100, 8, 2).total_iterations


@pytest.mark.parametrize("experiment", [small_sweep, small_noise, small_plan])
def test_whatever_runs_is_covered(experiment):
    experiment()  # what is imported only once is imported now
    called = used_while(experiment)
    assert called and called <= of_function(experiment).keys()


def test_words_in_lib_stale_nothing_and_code_does(copied_lib):
    from lib.experiments.noise import noise

    def after(module, before, after):
        path = copied_lib / f"{module}.py"
        text = path.read_text(encoding="utf-8")
        assert text.count(before) == 1
        path.write_text(text.replace(before, after), encoding="utf-8")
        now = of_function(noise)
        path.write_text(text, encoding="utf-8")
        return fingerprint.changed(start, now)

    start = of_function(noise)
    assert "lib.sweep.sweep" not in start and "lib.records.remember" not in start
    assert after("checks", "it must be {wanted}.", "it has to be {wanted}!") == []
    assert after("checks", "at_least: int | None = None, at_most", "at_least=None, at_most") == []
    assert after("sampling", "An independent random generator", "A generator") == []
    assert after("sampling", "len(order) % batch_size", "len(order) % 1") == []  # ``batches`` is not used
    assert after("sampling", "permutation(num_samples)", "permutation(num_samples)[::-1]") == [
        "lib.sampling.epoch_order"
    ]
    assert after("sampling", "ORDER, WEIGHTS, AUGMENTATION = 0, 1, 3", "ORDER, WEIGHTS, AUGMENTATION = 0, 2, 3") == [
        "lib.sampling.AUGMENTATION",
        "lib.sampling.ORDER",
        "lib.sampling.WEIGHTS",
    ]


# Own files -------------------------------------------------------------------------------

OWN = """
import dataclasses
import math as m
from math import sin as f

from lib import plan

TABLE = {"a": [abs, len], "b": plan.TrainingPlan}


class Base:
    def double(self):
        return 2 * helper(self)


@dataclasses.dataclass
class Task(Base):
    size: int = 1


def helper(x):
    return m.floor(1.5), f(x.size)


def adding(n):
    def inner(x):
        return x + n
    return inner


plus = adding(1)


def experiment(kind=Task):
    return kind().double(), plus(1), TABLE
"""


@pytest.mark.parametrize(
    "before, after",
    [
        ("2 * helper", "3 * helper"),
        ("size: int = 1", "size: int = 2"),
        ("@dataclasses.dataclass", "@dataclasses.dataclass(frozen=True)"),
        ("floor", "ceil"),
        ("import sin as f", "import cos as f"),
        ("import math as m", "import numpy as m"),
        ("adding(1)", "adding(2)"),
        ("return x + n", "return x - n"),
        ("[abs, len]", "[abs, max]"),
        ("plan.TrainingPlan", "plan.TAILS"),
        ("kind=Task", "kind=Base"),
    ],
)
def test_classes_closures_and_tables_of_an_own_file_count(load, before, after):
    assert OWN.count(before) == 1
    old, new = of_function(load(OWN)), of_function(load(OWN.replace(before, after)))
    assert old != new and "lib.plan.TrainingPlan" in old


def test_functions_of_another_own_file_count(load, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    found = []
    for number in ("1", "22"):
        text = f"N = {number}\ndef f():\n    return k()\ndef k():\n    return {number}\ndef g():\n    return 1\n"
        (tmp_path / "own_help.py").write_text(text, encoding="utf-8")
        sys.modules.pop("own_help", None)
        linecache.clearcache()
        uses = "own_help.f(), own_help.N, g()"
        found.append(
            of_function(load(f"import own_help\nfrom own_help import g\ndef experiment():\n    return {uses}"))
        )
    sys.modules.pop("own_help")
    assert fingerprint.changed(*found) == ["k", "own_help.N"] and {"own_help.f", "g"} <= found[0].keys()


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


def test_a_module_started_by_itself_has_the_names_it_is_imported_by():
    """A page finds the record that ``python -m lib.experiments.advised`` makes up to date."""
    started = """
import runpy
from lib import long_records
from lib.fingerprint import of_function
long_records.remember_long = lambda name, experiment, *others, **how: print(of_function(experiment)) or exit()
runpy.run_module("lib.experiments.advised", run_name="__main__", alter_sys=True)
"""
    command = [sys.executable, "-W", "ignore", "-c", started]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", cwd=LIB.parent)
    assert done.stdout.strip() == str(of_function(advised.steps)), done.stderr
