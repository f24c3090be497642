"""spaCy and gensim."""

import logging
import random

from tests.frameworks.harness import check


@check("spacy", 40)
def spacy(draw):
    import spacy
    from spacy.training import Example
    from spacy.training.batchers import configure_minibatch_by_padded_size  # noqa: F401  registers the batchers
    from spacy.training.loop import create_train_batches, train_while_improving

    choices = dict(
        num_samples=draw.randint(1, 12),
        size=draw.randint(1, 5),
        max_epochs=draw.choice([0, draw.randint(1, 3)]),
        accumulate_gradient=draw.randint(1, 3),
    )
    choices["max_steps"] = draw.choice([0, draw.randint(1, 9)]) if choices["max_epochs"] else draw.randint(1, 9)
    yield choices
    nlp = spacy.blank("en")
    labels = nlp.add_pipe("textcat")
    labels.add_label("a"), labels.add_label("b")
    texts = [Example.from_dict(nlp.make_doc("w"), {"cats": {"a": 1.0, "b": 0.0}})] * choices["num_samples"]
    optimizer = nlp.initialize(lambda: texts)
    updates, finish = [], labels.finish_update
    labels.finish_update = lambda sgd: (updates.append(1), finish(sgd))
    batcher = spacy.registry.batchers.get("spacy.batch_by_sequence.v1")(choices["size"], None)
    random.seed(0)
    loop = train_while_improving(
        nlp,
        optimizer,
        create_train_batches(nlp, lambda nlp: texts, batcher, choices["max_epochs"]),
        lambda: (0.0, {}),
        dropout=0.0,
        eval_frequency=10_000,
        accumulate_gradient=choices["accumulate_gradient"],
        patience=0,
        max_steps=choices["max_steps"],
        exclude=[],
        annotating_components=[],
        before_update=None,
    )
    *_, (_, info, _) = loop
    yield {"iterations": len(updates), "step": info["step"]}


@check("gensim", 40)
def gensim(draw):
    from gensim.models import Word2Vec

    logging.getLogger("gensim").setLevel(logging.ERROR)
    words = draw.randint(5, 60)
    choices = dict(num_words=words * draw.randint(1, 9), epochs=draw.randint(1, 6))
    yield choices
    sentences = [["w"] * words] * (choices["num_words"] // words)
    model = Word2Vec(vector_size=2, min_count=1, workers=1)
    model.build_vocab(sentences)
    _, raw = model.train(sentences, total_examples=len(sentences), epochs=choices["epochs"])
    yield {"iterations": raw, "raw words": raw}  # a word is what its plan counts
