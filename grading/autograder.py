"""A released homework's autograder.zip, unpacked for a grading."""

import ast
import compileall
import hashlib
import json
import re
import zipfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from lib.homework import checks

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Autograder:
    """A released homework: its checks, and the folder of what students may see of it."""

    homework: str
    digest: str
    sources: dict[str, str]  # of the check files
    shared: Path

    @cached_property
    def questions(self) -> dict[str, checks.Question]:
        questions = [checks.read(source, name) for name, source in self.sources.items()]
        return {question.name: question for question in questions}

    @cached_property
    def sentences(self) -> frozenset[str]:
        """All that checks say word for word; any other hint tells something of an answer or of its question."""
        texts = [*self.sources.values()]
        texts += [path.read_text(encoding="utf-8") for path in (self.shared / "lib").rglob("*.py")]
        nodes = [node for text in texts for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Constant)]
        return frozenset(node.value for node in nodes if isinstance(node.value, str))

    @property
    def points(self) -> float:
        return sum(question.points for question in self.questions.values())


def unpack(archive: Path, shared: Path) -> Autograder:
    """Read an autograder.zip; what the sandboxes share goes into the folder ``shared``.

    That is ``lib``, and ``tests`` with the public checks, as a student has them.

    Raises
    ------
    ValueError
        It was released from another version of ``lib``, so students had other numbers.
    """
    with zipfile.ZipFile(archive) as released:
        homework = json.loads(released.read("otter_config.json"))["assignment_name"]
        for name in released.namelist():
            if name.startswith("files/lib/"):
                content, here = released.read(name), ROOT / name.removeprefix("files/")
                if not here.exists() or here.read_bytes() != content:
                    raise ValueError(
                        f"{archive} was released with another {name.removeprefix('files/')}; grade with the "
                        f"version of the course that released it, or release it again."
                    )
                target = shared / name.removeprefix("files/")
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(content)
        names = sorted(name for name in released.namelist() if re.fullmatch(r"tests/q\w+\.py", name))
        sources = {name: released.read(name).decode() for name in names}
    (shared / "tests").mkdir()
    for name, source in sources.items():
        (shared / name).write_text(public(source), encoding="utf-8")
    compileall.compile_dir(shared / "lib", quiet=1)  # once for all
    return Autograder(homework, hashlib.sha256(archive.read_bytes()).hexdigest(), sources, shared)


def public(source: str) -> str:
    """A check file without its hidden checks."""
    lines = source.split("\n")
    for function in hidden_functions(source):
        first = min(node.lineno for node in [function, *function.decorator_list])
        lines[first - 1 : function.end_lineno] = [""] * (function.end_lineno - first + 1)
    return "\n".join(lines)


def hidden_functions(source: str) -> list[ast.FunctionDef]:
    """The hidden checks in a check file."""
    return [
        function
        for function in ast.parse(source).body
        if isinstance(function, ast.FunctionDef)
        and any(
            keyword.arg == "hidden" and getattr(keyword.value, "value", False)
            for decorator in function.decorator_list
            for keyword in getattr(decorator, "keywords", [])
        )
    ]
