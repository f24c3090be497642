"""What a piece of ``lib`` stands on: functions, classes and constants, followed through the sources.

Nothing is imported and nothing runs. A *definition* is a name at the top of a module with the
statements that bind or change it. It uses the names that it reads; these lead to other
definitions, in its own module or through imports in others. A class counts whole, so that a method
which is called on some object is covered wherever that object was made. Where names do not
tell (a module passed on as a value, ``import_module``, ``exec``), everything that could be meant counts.
"""

import ast
import dis
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import CodeType
from typing import Any

ANYTHING = {"exec", "eval", "__import__"}  # functions with which code may reach anything,
ANY_ATTRIBUTE = {"import_module", "__subclasses__"}  # and such attributes
ON_IMPORT = "(on import)"
MAIN = "(as a program)"
Statement = ast.stmt
Reference = tuple[str, tuple[str, ...]]  # a name, and the attributes read from it: plan.TAILS is ("plan", ("TAILS",))


# What of a source can change a result ---------------------------------------------------


class _Wordless(ast.NodeTransformer):
    """Takes out docstrings, type hints, and the wording of errors and warnings."""

    def __init__(self):
        self.fields: set[ast.AnnAssign] = set()

    def generic_visit(self, node):
        super().generic_visit(node)
        for name in ("body", "orelse", "finalbody"):
            block = getattr(node, name, None)
            if isinstance(block, list) and block:
                setattr(node, name, [each for each in block if not isinstance(each, ast.Pass)] or [ast.Pass()])
        return node

    def visit_Expr(self, node):
        is_word = isinstance(node.value, ast.Constant) and isinstance(node.value.value, (str, type(...)))
        return ast.Pass() if is_word else self.generic_visit(node)

    def visit_FunctionDef(self, node):
        if not any(
            "register" in ast.dump(decorator) for decorator in node.decorator_list
        ):  # singledispatch reads hints
            node.returns = None
            for argument in ast.walk(node.args):
                if isinstance(argument, ast.arg):
                    argument.annotation = None
        return self.generic_visit(node)

    visit_AsyncFunctionDef = visit_FunctionDef

    def visit_ClassDef(self, node):
        self.fields.update(each for each in node.body if isinstance(each, ast.AnnAssign))
        return self.generic_visit(node)

    def visit_AnnAssign(self, node):
        if node in self.fields:  # having a type, whichever, makes it a field of a dataclass
            if not re.search("ClassVar|InitVar|KW_ONLY", ast.dump(node.annotation)):
                node.annotation = ast.Constant(None)
        elif node.value is None:
            return ast.Pass()
        else:
            node = ast.Assign([node.target], node.value)
        return self.generic_visit(node)

    def visit_Raise(self, node):
        if isinstance(node.exc, ast.Call):
            _blank_message(node.exc)
        return self.generic_visit(node)

    def visit_Assert(self, node):
        if node.msg is not None and _is_text(node.msg):
            node.msg = None
        return self.generic_visit(node)

    def visit_Call(self, node):
        if list(references(node.func)) in ([("warn", ())], [("warnings", ("warn",))]):
            _blank_message(node)
        return self.generic_visit(node)


def _blank_message(call: ast.Call):
    """Empty the texts among the arguments of an error or warning; a keyword such as ``code="E1"`` may be no word."""
    call.args = [ast.Constant("") if _is_text(each) else each for each in call.args]
    for keyword in call.keywords:
        if keyword.arg == "message" and _is_text(keyword.value):
            keyword.value = ast.Constant("")


def _is_text(node: ast.expr) -> bool:
    """Whether an expression is a text for certain, by its form."""
    match node:
        case ast.Constant(value=str()) | ast.JoinedStr():
            return True
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return _is_text(left) or _is_text(right)
        case ast.BinOp(left=left, op=ast.Mod()) | ast.Call(func=ast.Attribute(value=left)):
            return _is_text(left)
        case ast.IfExp(body=body, orelse=orelse):
            return _is_text(body) and _is_text(orelse)
    return False


def wordless(source: str) -> ast.Module:
    """The syntax tree of a source without what changes no result: comments, docstrings, hints, messages, layout."""
    return ast.fix_missing_locations(_Wordless().visit(ast.parse(source)))


def essence(node) -> str:
    """A syntax tree as text, the same in every version of Python that reads the source alike."""
    if isinstance(node, ast.AST):
        parts = [(name, value) for name, value in ast.iter_fields(node) if name not in ("ctx", "kind", "type_comment")]
        inside = ", ".join(f"{name}={essence(value)}" for name, value in parts if value is not None and value != [])
        return f"{type(node).__name__}({inside})"
    if isinstance(node, list):
        return f"[{', '.join(map(essence, node))}]"
    return repr(node)


# What a source reads --------------------------------------------------------------------


def globals_used(tree: ast.Module) -> tuple[set[str], set[str]]:
    """(global names read, global names set from inside functions) by statements of a module."""

    def inside(code: CodeType) -> Iterator[tuple[str, str]]:
        for each in dis.get_instructions(code):
            if each.opname in ("LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS", "STORE_GLOBAL"):
                yield each.opname, each.argval
        for constant in code.co_consts:
            if isinstance(constant, CodeType):
                yield from inside(constant)

    found = list(inside(compile(tree, "<essence>", "exec", dont_inherit=True)))
    return (
        {name for opname, name in found if opname.startswith("LOAD")},
        {name for opname, name in found if opname.startswith("STORE")},
    )


def references(node: ast.AST) -> Iterator[Reference]:
    """All names in a syntax tree, each with the attributes that are taken from it."""
    attributes, root = [], node
    while isinstance(root, ast.Attribute):
        attributes.append(root.attr)
        root = root.value
    if isinstance(root, ast.Name):
        yield root.id, tuple(reversed(attributes))
    else:
        for child in ast.iter_child_nodes(root):
            yield from references(child)


def imports(node: ast.AST, package: str = "") -> Iterator[tuple[str, str]]:
    """(name, what it stands for) of all imports in a syntax tree: ``np``, ``numpy``; ``*`` for a star."""
    for each in ast.walk(node):
        if isinstance(each, ast.Import):
            for alias in each.names:
                yield alias.asname or alias.name.split(".")[0], alias.name if alias.asname else alias.name.split(".")[0]
                if not alias.asname and "." in alias.name:
                    yield "", alias.name  # bound to no name of its own, but imported
        elif isinstance(each, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - each.level + 1] if each.level else []
            home = ".".join([*above, *([each.module] if each.module else [])])
            for alias in each.names:
                yield alias.asname or alias.name, home if alias.name == "*" else f"{home}.{alias.name}"


@dataclass
class Module:
    """One file of ``lib``, cut into its definitions.

    Attributes
    ----------
    definitions : dict of lists
        For each name the statements at the top of the module that bind or change it.
    imported : dict of sets
        What each imported name stands for.
    subclasses : set
        Definitions of classes whose base is one of ``lib``.
    """

    name: str
    package: str
    definitions: dict[str, list[Statement]] = field(default_factory=dict)
    imported: dict[str, set[str]] = field(default_factory=dict)
    subclasses: set[str] = field(default_factory=set)

    def add(self, statement: Statement):
        """Sort a statement at the top of the module in."""
        if isinstance(statement, (ast.Import, ast.ImportFrom, ast.Pass)):
            return
        if isinstance(statement, ast.If) and "__name__" in dict(references(statement.test)):
            names = {MAIN}
        else:
            names = _changed(statement) | globals_used(ast.Module([statement], []))[1]
            decorators = [getattr(each, "func", each) for each in getattr(statement, "decorator_list", [])]
            of_others = (names - {name for name, _ in imports(statement)}) & self.imported.keys()
            if (
                not names
                or of_others
                or any(self.is_of_lib(name) for each in decorators for name, _ in references(each))
            ):
                names.add(ON_IMPORT)
            if any(self.is_of_lib(name) for base in getattr(statement, "bases", []) for name, _ in references(base)):
                self.subclasses |= names
        for name in names:
            self.definitions.setdefault(name, []).append(statement)

    def is_of_lib(self, name: str) -> bool:
        """Whether a decorator or a base class is one of ``lib``, and may enter what it is used for in some table."""
        meant = self.imported.get(name, {"lib"} if name in self.definitions else set())
        return any(target.split(".")[0] == "lib" for target in meant)


def _changed(statement: Statement) -> set[str]:
    """Names that a statement at the top of a module binds, or whose objects it changes; ON_IMPORT where unclear."""
    found: set[str] = set()
    waiting: list[ast.AST] = [statement]
    while waiting:
        node: Any = waiting.pop()
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            found.add(node.name)
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            found |= {name for name, _ in imports(node)}
        elif isinstance(node, ast.Expr):  # TABLE.update(...)
            owners = {name for name, attributes in references(getattr(node.value, "func", node)) if attributes}
            found |= owners or {ON_IMPORT}
        elif isinstance(node, (ast.Name, ast.Attribute, ast.Subscript)) and not isinstance(node.ctx, ast.Load):
            while isinstance(node, (ast.Attribute, ast.Subscript)):  # TABLE["a"] = 1
                node = node.value
            found |= {name for name, _ in references(node)}
        elif not isinstance(node, (ast.Lambda, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)):
            waiting += ast.iter_child_nodes(node)
    return found


@cache
def _cut(name: str, package: str, source: str) -> Module:
    tree, module = wordless(source), Module(name, package)
    outside = ast.Module([each for each in tree.body if not isinstance(each, (ast.FunctionDef, ast.ClassDef))], [])
    for alias, target in imports(outside, package):
        module.imported.setdefault(alias, set()).add(target)
    for statement in tree.body:
        module.add(statement)
    return module


# Following it ---------------------------------------------------------------------------


class Library:
    """The modules of ``lib`` below a folder, and what is reached from a start."""

    def __init__(self, folder: Path):
        self.folder = folder
        self._read: dict[str, Module] = {}
        self._hooks: bool | None = None

    def modules(self, prefix: str) -> list[str]:
        """Names of the modules in a package, itself included."""
        paths = [path.relative_to(self.folder).with_suffix("") for path in self.folder.rglob("*.py")]
        names = [".".join(["lib", *(part for part in path.parts if part != "__init__")]) for path in paths]
        return sorted(name for name in names if name == prefix or name.startswith(prefix + "."))

    def file(self, name: str) -> Path | None:
        """The file of a module, None if there is none."""
        if name.split(".")[0] != "lib":
            return None
        path = self.folder.joinpath(*name.split(".")[1:])
        path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
        return path if path.exists() else None

    def module(self, name: str) -> Module:
        if name not in self._read:
            path = self.file(name)
            assert path is not None, name
            package = name if path.name == "__init__.py" else name.rpartition(".")[0]
            self._read[name] = _cut(name, package, path.read_text(encoding="utf-8"))
        return self._read[name]

    def located(self, target: str) -> Iterator[tuple[str, str]]:
        """The definitions (module, name) that a dotted name of ``lib`` means: one, or all of a module or package."""
        parts = target.split(".")
        length = next((n for n in range(len(parts), 0, -1) if self.file(".".join(parts[:n]))), None)
        if length is None:
            return
        name, rest = ".".join(parts[:length]), parts[length:]
        module = self.module(name)
        if not rest:
            yield from self.all_of(name)
        elif rest[0] in module.definitions or rest[0] in module.imported:
            yield name, rest[0]
            for elsewhere in module.imported.get(rest[0], ()):
                yield from self.located(".".join([elsewhere, *rest[1:]]))
        elif "*" in module.imported:
            for elsewhere in module.imported["*"]:
                yield from self.located(".".join([elsewhere, *rest]))
        elif "__getattr__" in module.definitions:
            yield name, "__getattr__"
        else:
            yield from self.located(name)

    def all_of(self, prefix: str = "lib") -> Iterator[tuple[str, str]]:
        """All definitions of a module, or of a package and the modules in it."""
        for name in self.modules(prefix):
            yield from ((name, definition) for definition in self.module(name).definitions)
            yield name, ON_IMPORT

    def meant(self, tree: ast.Module, module: Module) -> Iterator[tuple[str, str]]:
        """The definitions that statements of a module use."""
        inside = [(name, target) for name, target in imports(tree, module.package)]
        read, _ = globals_used(tree)
        for _, target in inside:  # what an import inside a function runs
            yield from ((name, ON_IMPORT) for name in self.parents(target))
        for name, attributes in set(references(tree)):
            targets = {target for alias, target in inside if alias == name}
            if name in read:
                targets |= module.imported.get(name, set())
                if name in module.definitions:
                    yield module.name, name
                elif name not in module.imported and "*" in module.imported:
                    targets |= {f"{star}.{name}" for star in module.imported["*"]}
                if name == "globals":
                    yield from self.located(module.name)
            for target in targets:
                yield from self.located(".".join([target, *attributes]))
            if name in read & ANYTHING or (name, *attributes[:1]) == ("sys", "modules"):
                yield from self.all_of()
        for node in ast.walk(tree):
            if ANY_ATTRIBUTE & {getattr(node, "attr", None), getattr(node, "id", None)}:
                yield from self.all_of()
            elif isinstance(node, ast.Constant) and re.fullmatch(r"lib(\.\w+)+\.?", str(node.value)):
                yield from self.located(str(node.value).rstrip("."))  # python -m lib.distributed

    def classes_know_their_subclasses(self) -> bool:
        """Whether some class of ``lib`` is told when another is derived from it."""
        if self._hooks is None:
            sources = (path.read_text(encoding="utf-8") for path in self.folder.rglob("*.py"))
            hook = re.compile(r"^\s*def __init_subclass__|^\s*class [^:]*[(,]\s*metaclass\s*=", re.MULTILINE)
            self._hooks = any(hook.search(source) for source in sources)
        return self._hooks

    def parents(self, target: str) -> list[str]:
        """The modules that importing a dotted name runs: packages before what is in them."""
        parts = target.split(".")
        return [name for n in range(1, len(parts) + 1) if self.file(name := ".".join(parts[:n]))]

    def reached(self, starts: Iterable[tuple[str, str]]) -> dict[str, str]:
        """The essence of every definition that is reached from some: those, what they use, what that uses."""
        found, waiting = {}, list(starts)
        while waiting:
            name, definition = waiting.pop()
            key = f"{name}.{definition}"
            if key in found:
                continue
            module = self.module(name)
            tree = ast.Module(module.definitions.get(definition, []), [])
            found[key] = self.text(tree, module)
            waiting += self.meant(tree, module)
            waiting.append((name, ON_IMPORT))
            if definition == ON_IMPORT:
                if self.classes_know_their_subclasses():
                    waiting += [(name, each) for each in module.subclasses]
                targets = {target for targets in module.imported.values() for target in targets} | {name}
                waiting += [(parent, ON_IMPORT) for target in targets for parent in self.parents(target)]
        return {key: text for key, text in sorted(found.items()) if text}

    def text(self, tree: ast.Module, module: Module) -> str:
        """All of a definition that its digest is made of: statements, what imported names stand for, files named."""
        if not tree.body:
            return ""
        names = {name for name, _ in references(tree)} & module.imported.keys()
        stands_for = [f"{name}: {', '.join(sorted(module.imported[name]))}" for name in sorted(names)]
        texts = {
            node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)
        }
        files = [
            f"{path.name}: {path.read_bytes()!r}"
            for text in sorted(texts)
            if re.fullmatch(r"[\w-]+\.(?!py$)\w+", text)
            for path in sorted(self.folder.rglob(text))
        ]
        return "\n".join([essence(tree.body), *stands_for, *files])
