"""One word, one meaning: wrong uses are refused, and the lessons lead to the glossary."""

import ast
import io
import re
import tokenize
from pathlib import Path

import jupytext
import pytest

ROOT = Path(__file__).resolve().parents[1]
LESSONS = sorted((ROOT / "lessons").glob("*.md"))
PAGES = sorted(ROOT.glob("*.md")) + LESSONS + sorted((ROOT / "exercises").glob("*.md"))
MODULES = sorted(
    path for path in (ROOT / "lib").rglob("*") if path.suffix in (".py", ".js") and path.parent.name != "frameworks"
)  # what frameworks call things is quoted there

# (say this instead, what is refused, sentences that must be refused, sentences that must pass)
RULES = [
    (
        "sample",
        r"\bdata ?points?\b|\b(training|test|validation|labell?ed) examples?\b|\b\d[\d,]* examples\b"
        r"|\b(each|every|per|all) examples?\b|\bexamples? (in|of) (a|the|each|one) (batch|epoch|training set)\b",
        ["A batch has 32 data points.", "A datapoint counts once.", "10,000 examples are seen.", "Loss per example."],
        ["Take an example.", "For example, 300 samples.", "Two examples follow."],
    ),
    (
        "batches, their number",
        r"\bnumber of batch\b|\bbatch count\b|\b\d[\d,]* batch (per|in|an)\b"
        r"|\b[Bb]atch size (is|means|says) (the number of|how many) batches\b",
        ["20 batch per device.", "The batch size is the number of batches.", "Batch size says how many batches."],
        ["The number of batches is 20.", "The batch size is the number of samples in a batch."],
    ),
    (
        "epoch, or pass",
        r"\biterations? \(epochs?\)|\b[Ee]pochs? \(iterations?\)|\bepoch sizes?\b"
        r"|\biterations? (over|through) (the |all |a )?(whole |entire |full |all )?(data|training|samples?|images)\b"
        r"|\biterations? (is|are|means) (one |a |the )?(complete |full )?(epoch|pass)",
        ["With each iteration (epoch) it improves.", "Epochs (iterations): 5.", "Use a higher epoch size.",
         "One iteration over the whole training set.", "An iteration is a full pass."],
        ["An iteration is one update of the weights.", "Iterations in one epoch."],
    ),
    (
        "micro-batch",
        r"\b(micro-batch|accumulation|forward|backward) iterations?\b"
        r"|\biterations? (before|per|for each|until) (an? |each |one )?(update|optimizer step|weight update)",
        ["Four accumulation iterations make an update.", "Four iterations per update are added up."],
        ["Four micro-batches make one iteration.", "Accumulation: 20 iterations, 80 passes."],
    ),
    (
        "global batch size",
        r"\b(effective|total|overall|accumulated|combined) batch[- ]sizes?\b",
        ["The effective batch size is 64.", "Its total batch size is 256."],
        ["The global batch size is 64."],
    ),
    (
        "mini-batch, micro-batch",
        r"\b[Mm]ini ?batch(es)?\b|\b[Mm]icro ?batch(es)?\b",
        ["A minibatch of 32.", "Four micro batches."],
        ["A mini-batch of 32.", "Four micro-batches.", "class MicroBatch"],
    ),
    (
        "full batch is B = N; say: whole batches",
        r"\b[Ff]ull batches\b|\b[Ff]ull batch of \d",
        ["After 33 full batches 100 samples are left.", "A full batch of 64 and a tail."],
        ["After 33 whole batches 100 samples are left.", "Full batch: all samples decide.", "full batch, 32 and 1"],
    ),
    (
        "workload, recipe or budget",
        r"\b(training|run|experiment) (config|configs|configuration|configurations|settings)\b",
        ["The training configuration has 12 entries.", "Compare run settings."],
        ["The recipe has a learning rate."],
    ),
    (
        "token",
        r"\bsamples? of (text|tokens)\b|\btoken samples?\b|\bsamples? \(tokens?\)|\btokens? \(samples?\)",
        ["A batch of 512 samples (tokens).", "Each sample of text is a token."],
        ["A sample has 512 tokens."],
    ),
]  # fmt: skip
CLOCK = r"iteration|sample|epoch|second|compute|computation|clock|\btimes?\b|update|hour|minute|budget|pass|\?\W*$"
QUOTED = [  # statements that exercises let students judge
    "More iterations mean faster convergence.",
    "Batch gradient descent converges stably.",
]


def strings(code):
    """What a cell or module says to people: its strings and comments, but not the claims that it quotes."""
    code = re.sub(r'\bclaim=f?"[^"]*"', "claim=0", re.sub(r"^%.*$", "", code, flags=re.MULTILINE))
    spoken = [node.value for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Constant)]
    comments = [
        token.string for token in tokenize.generate_tokens(io.StringIO(code).readline) if token.type == tokenize.COMMENT
    ]
    return [text for text in [*spoken, *comments] if isinstance(text, str)]


def prose(text):
    """Markdown without code, formulas, addresses and quotations; what a role shows stays."""
    text = re.sub(r"\{[\w:]+\}`([^`<]*?)(?: <[^`]*>)?`", r"\1", text)
    text = re.sub(r"^```.*?^```$", " ", text, flags=re.MULTILINE | re.DOTALL)
    text = re.sub(r"`[^`]*`|\]\([^)]*\)|\$[^$]*\$", " ", text)
    return re.sub(r"“[^”]*”|\"[^\"]*\"|\*\"[^\"]*\"\*", " ", text)


def said(path):
    """(paragraphs of a page, strings and comments of its code). Foreign words are the glossary's second part."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".js":
        return [], [text]
    if path.suffix == ".py":
        return [], strings(text)
    if path.name == "glossary.md":
        text = re.sub(r"`{3}\{glossary\}|^```$", "", text.split("(words-of-the-frameworks)=")[0], flags=re.MULTILINE)
    cells = jupytext.reads(text, fmt="md:myst" if "format_name: myst" in text[:400] else "md").cells
    paragraphs = [p for c in cells if c.cell_type == "markdown" for p in re.split(r"\n\s*\n", prose(c.source))]
    return paragraphs, [s for c in cells if c.cell_type == "code" for s in _strings_or_nothing(c.source)]


def _strings_or_nothing(code):
    try:
        return strings(code)
    except (SyntaxError, tokenize.TokenError):  # a shell command, or the frame of an exercise
        return []


def wrong_words(text):
    """What a text says wrongly, with the word that it should use."""
    return [(found[0], instead) for instead, wrong, *_ in RULES for found in re.finditer(wrong, text)]


def without_clock(paragraph):
    """Sentences that say faster, slower or converge and name no clock."""
    sentences = re.split(r"(?<=[.!?])\s+", paragraph)
    return [
        sentence
        for sentence in sentences
        if re.search(r"\b([Ff]aster|[Ss]lower|[Cc]onverges?|[Cc]onvergence)\b", sentence)
        and not re.search(CLOCK, sentence, re.IGNORECASE)
        and not any(quotation in sentence for quotation in QUOTED)
    ]


@pytest.mark.parametrize("path", PAGES + MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_word_is_used_wrongly(path):
    paragraphs, spoken = said(path)
    assert [found for text in paragraphs + spoken for found in wrong_words(text)] == []


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_faster_names_its_clock(path):
    paragraphs, _ = said(path)
    assert [sentence for paragraph in paragraphs for sentence in without_clock(paragraph)] == []


@pytest.mark.parametrize("instead, wrong, refused, passing", RULES, ids=[rule[0] for rule in RULES])
def test_the_rules_refuse_what_is_wrong(instead, wrong, refused, passing):
    for sentence in refused:
        assert instead in [word for _, word in wrong_words(sentence)], sentence
    for sentence in passing:
        assert wrong_words(sentence) == [], sentence


def test_the_clock_rule_refuses_what_is_wrong():
    assert without_clock("A large batch is faster. It takes fewer seconds an epoch.") == ["A large batch is faster."]
    assert without_clock("Small batches converge in fewer iterations. Is it faster?") == []
    assert without_clock("Training converges.") == ["Training converges."]


def test_quotations_and_code_may_say_it(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(
        'They say "effective batch size". `minibatch` is a name, {term}`micro-batch <minibatch>` shown.\n',
        encoding="utf-8",
    )
    paragraphs, _ = said(page)
    assert wrong_words(" ".join(paragraphs)) == []
    code = 'box(claim="An effective batch size", found="a minibatch")  # 7 examples'
    assert strings(code) == ["a minibatch", "# 7 examples"]


# the glossary ------------------------------------------------------------------------


def terms(text):
    """The words that a glossary explains."""
    return [
        line
        for block in re.findall(r"^```\{glossary\}\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)
        for line in block.splitlines()
        if line and not line.startswith(" ")
    ]


def unlinked(text, words):
    """Words of the glossary that the paragraphs of a lesson use without leading there once."""
    linked = {(target or shown).lower() for shown, target in re.findall(r"\{term\}`([^`<]+?)(?: <([^`>]+)>)?`", text)}
    cells = jupytext.reads(text, fmt="md:myst").cells
    markdown = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    lines = re.sub(r"\[[^\]]*\]\([^)]*\)", " ", markdown).splitlines()
    left = "\n".join(prose(line) for line in lines if not re.match(r"[#|:`(]", line)).lower()
    missing = []
    for word in sorted(words, key=len, reverse=True):  # "batch size" before "batch"
        left, uses = re.subn(rf"(?<![\w-]){re.escape(word.lower())}(s|es)?(?![\w-])", " ", left)
        if uses and word.lower() not in linked:
            missing.append(word)
    return missing


COURSE, FOREIGN = (ROOT / "glossary.md").read_text(encoding="utf-8").split("(words-of-the-frameworks)=")
# also plain English; they lead there where they mean the term
PLAIN = {"never seen", "seen twice", "replacement", "attention", "document"}


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda path: path.name)
def test_a_lesson_leads_to_the_glossary(lesson):
    text = lesson.read_text(encoding="utf-8")
    assert unlinked(text, set(terms(COURSE)) - PLAIN) == [], "write the first use as {term}`word`"


def test_that_check_can_fail():
    page = "---\njupytext: {text_representation: {format_name: myst}}\n---\nA {term}`batch size`s, a batch, Momentum.\n"
    assert unlinked(page, ["batch", "batch size", "momentum", "epoch"]) == ["momentum", "batch"]


def test_every_word_of_the_course_is_explained():
    counted = "sample,batch,batch size,iteration,micro-batch,global batch size,epoch,tail,never seen,seen twice,token"
    trained = "workload,recipe,budget,momentum,Ghost BatchNorm"
    measured = "clock,seed,paired,95 % interval,bootstrap,gradient noise scale,critical batch size,saturation"
    assert set(",".join([counted, trained, measured]).split(",")) <= set(terms(COURSE))
    foreign = "step,update,optimizer step,micro-step,effective batch size,nominal batch size,trees per iteration"
    assert set(foreign.split(",")) <= set(terms(FOREIGN))
