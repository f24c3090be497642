"""The files by which others recognise a well-kept project say what is true."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def read(name):
    return (ROOT / name).read_text(encoding="utf-8")


def test_the_citation_is_of_this_version_and_licence():
    citation = yaml.safe_load(read("CITATION.cff"))
    assert {"cff-version", "message", "title", "authors", "version"} <= citation.keys()
    assert citation["version"] == PROJECT["project"]["version"]
    assert citation["license"] == "BSD-3-Clause" and "Redistribution and use" in read("LICENSE")


def test_the_change_log_knows_this_version():
    headings = re.findall(r"^## (.*)$", read("CHANGELOG.md"), flags=re.MULTILINE)
    assert headings[0] == "Unreleased" and PROJECT["project"]["version"] in headings


def test_every_hook_runs_a_program_of_the_environment_and_loads_nothing():
    subprocess.run(
        [sys.executable, "-m", "pre_commit", "validate-config", ROOT / ".pre-commit-config.yaml"], check=True
    )
    configuration = yaml.safe_load(read(".pre-commit-config.yaml"))
    assert [repository["repo"] for repository in configuration["repos"]] == ["local"]
    for hook in configuration["repos"][0]["hooks"]:
        program = hook["entry"].split()[0]
        assert hook["language"] == "system" and program.startswith(".venv/bin/")
        assert f"\n{Path(program).name}==" in read("requirements.txt")


def test_types_are_checked_in_all_but_the_modules_that_are_named():
    mypy = PROJECT["tool"]["mypy"]
    assert set(mypy["packages"]) == {name.split(".")[0] for name in PROJECT["tool"]["setuptools"]["packages"]}
    unchecked = [name for each in mypy["overrides"] if each.get("ignore_errors") for name in each["module"]]
    for name in unchecked:
        path = ROOT.joinpath(*name.removesuffix(".*").split("."))
        assert path.is_dir() or path.with_suffix(".py").exists(), f"{name} is gone; take it out of pyproject.toml"
    assert not [name for name in unchecked if name in ("lib", "lib.*", "book", "book.*")]


def test_make_test_starts_with_what_the_hooks_ask():
    recipe = re.search(r"^lint:.*\n((\t.*\n)+)", read("Makefile"), flags=re.MULTILINE)[1]
    assert all(each in recipe for each in ("ruff format --check .", "ruff check .", "mypy"))
    assert re.search(r"^test: lint\b", read("Makefile"), flags=re.MULTILINE)


def test_the_workflows_run_the_commands_of_the_readme():
    """Each command that they give is a target of the Makefile; the pages are tested before they are published."""
    book, links = (yaml.safe_load(read(f".github/workflows/{name}.yml")) for name in ("book", "links"))
    targets = set(re.findall(r"^([a-z-]+):", read("Makefile"), flags=re.MULTILINE))
    for workflow in (book, links):
        commands = [step["run"] for job in workflow["jobs"].values() for step in job["steps"] if "run" in step]
        assert {words[1] for words in map(str.split, commands) if words[0] == "make"} <= targets
    steps = [step.get("run", step.get("uses", "")) for step in book["jobs"]["test"]["steps"]]
    assert steps.index("make book") < steps.index("make test") < steps.index("actions/upload-pages-artifact@v3")
    assert book["jobs"]["publish"]["needs"] == "test"
    assert len(links[True]["schedule"]) == 1, "once a week"  # YAML reads `on` as true
    assert links["jobs"]["links"]["steps"][-1] == {"run": "make links"}
