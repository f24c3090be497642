"""Every number in the text comes out of the code beside it, and a lesson has its parts."""

import re
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).resolve().parents[1]
TWINS = sorted((ROOT / "lessons").glob("*.ipynb"))
PAGES = sorted(ROOT.glob("*.md")) + sorted((ROOT / "lessons").glob("*.md"))


def numbers(text):
    """Numbers of two or more digits, or with decimals, written 1,000 or 1_000 or 1000."""
    text = re.sub(r"(?<=\d)(,|_|\{,\})(?=\d{3})", "", text)
    return set(re.findall(r"(?<![\w.])\d*\.?\d+(?!\w)", text))


def prose(notebook):
    """The text of a lesson without its links, citations, inline code, tables and times to read."""
    text = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    text = re.sub(r"^# \d+ · ", "", text)
    text = re.sub(
        r"\*\*Time:\*\*.*|\]\([^)]*\)|\{cite\}`[^`]*`|section \d+(\.\d+)*|"
        r"[Ll]essons? \d+((,| to| and) \d+)*",
        " ",
        text,
    )
    text = re.sub(r"^\|.*", " ", text, flags=re.MULTILINE)  # tables of facts from elsewhere
    return re.sub(r"`[^`]*`", " ", text)


def computed(notebook):
    """All numbers that stand in a lesson's code or come out of it."""
    found = set()
    for cell in notebook.cells:
        if cell.cell_type == "code":
            found |= numbers(cell.source)
            for output in cell.outputs:
                found |= numbers(str(output.get("text", "")) + str(output.get("data", {}).get("text/plain", "")))
                found |= numbers(re.sub(r"<[^>]*>", " ", str(output.get("data", {}).get("text/html", ""))))
    return found


def unbound(notebook):
    """Numbers of the text that the code neither has nor gives."""
    known = computed(notebook)
    known |= {f"{float(number):.0f}" for number in known if float(number) < 1e6}
    known |= {number.rstrip("%") for number in known}
    return sorted(number for number in numbers(prose(notebook)) if len(number.lstrip("0.")) > 1 and number not in known)


@pytest.mark.parametrize("twin", TWINS, ids=lambda path: path.name)
def test_numbers_in_the_text_come_from_the_code(twin):
    assert unbound(nbformat.read(twin, as_version=4)) == []


def test_that_check_can_fail():
    cells = [
        nbformat.v4.new_markdown_cell("It takes 158 iterations, or 1,234 or 0.75 of them, and 157 at $N = 10{,}000$."),
        nbformat.v4.new_code_cell(
            "-(-10_000 // 64)", outputs=[nbformat.v4.new_output("execute_result", {"text/plain": "157"})]
        ),
    ]
    assert unbound(nbformat.v4.new_notebook(cells=cells)) == ["0.75", "1234", "158"]


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_no_picture_is_pasted_into_a_page(page):
    assert "attachment:" not in page.read_text(encoding="utf-8")


def answers_in_the_open(text):
    """Cells of *Check yourself* that print below questions which a reader has not answered yet."""
    part = re.search(r"^## Check yourself\n(.*?)^## ", text, flags=re.MULTILINE | re.DOTALL)
    cells = re.findall(r"^```\{code-cell\}.*?^```$", part[1] if part else "", flags=re.MULTILINE | re.DOTALL)
    return [cell for cell in cells if "print(" in cell and not re.search("(hide|remove)-output", cell)]


@pytest.mark.parametrize("md", sorted((ROOT / "lessons").glob("*.md")), ids=lambda path: path.name)
def test_no_answer_stands_below_its_question(md):
    assert answers_in_the_open(md.read_text(encoding="utf-8")) == []


def test_an_answer_in_the_open_is_seen():
    cell = "```{code-cell} ipython3\n:tags: [hide-input]\n\nprint(4)\n```"
    assert answers_in_the_open(f"## Check yourself\n\n{cell}\n\n## Exercise\n") == [cell]
    asserted = cell.replace("print(4)", "assert 2 + 2 == 4")
    assert answers_in_the_open(f"{cell}\n## Check yourself\n\n{asserted}\n## Exercise\n{cell}\n") == []


@pytest.mark.parametrize("md", sorted((ROOT / "lessons").glob("*.md")), ids=lambda path: path.name)
def test_shape_of_a_lesson(md):
    text = md.read_text(encoding="utf-8")
    for part in [
        "from book import pictures",
        "What you will learn",
        "**You need:**",
        "**Time:**",
        "**Predict.**",
        "ClaimTested(",
        "## Check yourself",
        "## Take away",
        "## To go further",
        "{cite}",
    ]:
        assert part in text, f"{md.name} has no {part!r}"
