"""Trainer, Accelerate, TRL and sentence-transformers, in one process; the samplers of Accelerate for several."""

import random
import tempfile
from collections import Counter
from functools import cache
from itertools import chain

import torch
import transformers
from torch.utils.data import BatchSampler, DataLoader, Dataset, IterableDataset

from tests.frameworks.harness import check

torch.set_num_threads(1)
transformers.logging.set_verbosity_error()
FOLDER = tempfile.mkdtemp()
QUIET = dict(
    output_dir=FOLDER, report_to=[], save_strategy="no", logging_strategy="no", use_cpu=True, disable_tqdm=True
)


class Counting(torch.optim.SGD):
    """Counts its own steps."""

    steps = 0

    def step(self, *args, **kwargs):
        self.steps += 1
        return super().step(*args, **kwargs)


class Rows(Dataset):
    def __init__(self, number):
        self.number = number

    def __len__(self):
        return self.number

    def __getitem__(self, index):
        return {"x": torch.tensor([float(index)])}


class Stream(IterableDataset):
    def __init__(self, number):
        self.number = number

    def __iter__(self):
        return iter(Rows(self.number)[i] for i in range(self.number))


class Model(torch.nn.Module):
    """Counts the samples that pass it while it trains."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.samples = 0

    def forward(self, x):
        self.samples += len(x)
        return {"loss": (self.weight * torch.ones_like(x)).mean()}


def random_arguments(draw, most=60):
    choices = dict(
        num_samples=draw.randint(1, most),
        per_device_train_batch_size=draw.randint(1, 9),
        gradient_accumulation_steps=draw.randint(1, 5),
        dataloader_drop_last=draw.random() < 0.3,
    )
    if draw.random() < 0.4:
        choices["max_steps"] = draw.randint(1, 20)
    else:
        choices["num_train_epochs"] = draw.choice(
            [draw.randint(1, 4), round(draw.uniform(0.1, 4), draw.choice([1, 2]))]
        )
    return choices


def train(choices, data):
    arguments = {name: value for name, value in choices.items() if name not in ("num_samples", "iterable")}
    model = Model()
    optimizer = Counting(model.parameters(), lr=1.0)
    trainer = transformers.Trainer(
        model,
        transformers.TrainingArguments(**QUIET, **arguments),
        train_dataset=data,
        optimizers=(optimizer, torch.optim.lr_scheduler.ConstantLR(optimizer, 1.0)),
    )
    trainer.train()
    return trainer, model, optimizer


@check("transformers", 250)
def trainer(draw):
    choices = random_arguments(draw)
    yield choices
    done, model, optimizer = train(choices, Rows(choices["num_samples"]))
    yield {
        "iterations": optimizer.steps,
        "samples": model.samples,
        "global_step": done.state.global_step,
        "epoch": round(done.state.epoch, 4),
    }


@check("transformers", 60)
def trainer_with_a_stream(draw):
    choices = random_arguments(draw)
    choices.pop("num_train_epochs", None)
    choices |= dict(max_steps=draw.randint(1, 12), iterable=True)
    yield choices
    if choices["num_samples"] <= choices["per_device_train_batch_size"] * (choices["gradient_accumulation_steps"] - 1):
        yield {"iterations": 0}  # it would go round for ever
        return
    done, model, optimizer = train(choices, Stream(choices["num_samples"]))
    yield {"iterations": optimizer.steps, "samples": model.samples, "global_step": done.state.global_step}


@check("accelerate", 150)
def one_process(draw):
    from accelerate import Accelerator
    from accelerate.state import AcceleratorState, GradientState
    from accelerate.utils import GradientAccumulationPlugin

    choices = dict(
        num_samples=draw.randint(1, 40),
        batch_size=draw.randint(1, 9),
        epochs=draw.randint(1, 4),
        drop_last=draw.random() < 0.3,
        gradient_accumulation_steps=draw.randint(1, 5),
        sync_with_dataloader=draw.random() < 0.5,
    )
    yield choices
    AcceleratorState._reset_state(True)
    GradientState._reset_state()
    plugin = GradientAccumulationPlugin(
        num_steps=choices["gradient_accumulation_steps"], sync_with_dataloader=choices["sync_with_dataloader"]
    )
    accelerator = Accelerator(cpu=True, gradient_accumulation_plugin=plugin)
    model = Model()
    loader = DataLoader(range(choices["num_samples"]), choices["batch_size"], drop_last=choices["drop_last"])
    inner = Counting(model.parameters(), lr=1.0)
    scheduler = torch.optim.lr_scheduler.ConstantLR(inner, 1.0)
    model, optimizer, loader, scheduler = accelerator.prepare(model, inner, loader, scheduler)
    steps = batches = 0
    for _ in range(choices["epochs"]):
        batches = 0
        for batch in loader:
            with accelerator.accumulate(model):
                accelerator.backward(model(batch.float())["loss"])
                optimizer.step()
                scheduler.step()
                optimizer.zero_grad()
                steps += accelerator.sync_gradients
            batches += 1
    yield {
        "iterations": steps,
        "batches of a device": batches,
        "steps of a prepared scheduler": scheduler.scheduler.last_epoch,
    }


@check("accelerate", 400)
def what_each_process_gets(draw):
    """Its own sampler for several processes, sample by sample: who is never seen, who is seen twice."""
    from accelerate.data_loader import BatchSamplerShard

    from lib.frameworks import FRAMEWORKS

    processes = draw.randint(1, 4)
    split = draw.random() < 0.3
    choices = dict(
        num_samples=draw.randint(1, 60),
        batch_size=draw.randint(1, 6) * (processes if split else 1),
        drop_last=draw.random() < 0.4,
        num_processes=processes,
        split_batches=split,
        even_batches=draw.random() < 0.7,
    )
    if split:
        choices["even_batches"] = True
    yield choices
    order = random.Random(0).sample(range(choices["num_samples"]), choices["num_samples"])
    ranks = []
    for rank in range(processes):
        whole = BatchSampler(order, choices["batch_size"], choices["drop_last"])
        shard = BatchSamplerShard(whole, processes, rank, split, choices["even_batches"]) if processes > 1 else whole
        ranks.append([list(batch) for batch in shard])
    if len({len(batches) for batches in ranks}) > 1:  # one would wait for the other for ever
        yield {"iterations": 0}
        return
    seen = Counter(sample for batches in ranks for batch in batches for sample in batch)
    if seen:
        plan = FRAMEWORKS["accelerate"].plan(**choices)
        assert plan.samples_dropped_per_epoch == choices["num_samples"] - len(seen), choices
        assert plan.samples_repeated_per_epoch == sum(times > 1 for times in seen.values()), choices
        assert plan.last_batch_size == len(ranks[-1][-1]), choices
    yield {"iterations": len(ranks[0]), "samples": seen.total(), "batches of a device": len(ranks[0])}


@cache
def tiny_language_model():
    """A model and a tokenizer made on the spot; nothing is downloaded."""
    from tokenizers import Tokenizer, models, pre_tokenizers

    words = Tokenizer(models.WordLevel({f"w{i}": i for i in range(20)} | {"<eos>": 20}, unk_token="w0"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=words, eos_token="<eos>", pad_token="<eos>")
    config = transformers.LlamaConfig(
        vocab_size=21,
        hidden_size=4,
        intermediate_size=4,
        num_hidden_layers=1,
        num_attention_heads=1,
        num_key_value_heads=1,
        max_position_embeddings=256,
    )
    return transformers.LlamaForCausalLM(config), tokenizer


@check("trl", 20)
def supervised_fine_tuning(draw):
    import datasets
    from trl import SFTConfig, SFTTrainer

    datasets.disable_progress_bars()
    choices = dict(
        lengths=[draw.randint(1, 40) for _ in range(draw.randint(1, 30))],
        packing=draw.random() < 0.7,
        packing_strategy=draw.choice(["bfd", "bfd_split", "wrapped"]),
        max_length=draw.choice([16, 32]),
        per_device_train_batch_size=draw.randint(1, 5),
        gradient_accumulation_steps=draw.randint(1, 3),
        num_train_epochs=draw.randint(1, 2),
    )
    yield choices
    model, tokenizer = tiny_language_model()
    optimizer = Counting(model.parameters(), lr=0.0)
    names = [name for name in choices if name != "lengths"]
    rows = datasets.Dataset.from_dict({"input_ids": [[1] * length for length in choices["lengths"]]})
    trainer = SFTTrainer(
        model,
        SFTConfig(**QUIET, **{name: choices[name] for name in names}, gradient_checkpointing=False, bf16=False),
        train_dataset=rows,
        processing_class=tokenizer,
        optimizers=(optimizer, torch.optim.lr_scheduler.ConstantLR(optimizer, 1.0)),
    )
    trainer.train()
    yield {"iterations": optimizer.steps, "global_step": trainer.state.global_step}


@check("trl", 150)
def packing(draw):
    """The rows that its packing makes and the tokens in them, without training on them.

    Of rows with equal room TRL fills the one that has waited longest, we the first: so with best fit they agree in
    how long they are and in what they hold together, and joined and cut texts agree token by token.
    """
    import datasets
    from trl.data_utils import pack_dataset

    from lib.tokens import laid

    datasets.disable_progress_bars()
    choices = dict(
        lengths=[draw.randint(1, 60) for _ in range(draw.randint(1, 60))],
        packing=True,
        packing_strategy=draw.choice(["bfd", "bfd_split", "wrapped"]),
        max_length=draw.randint(5, 50),
        per_device_train_batch_size=1,
        num_train_epochs=1,
    )
    yield choices
    texts = [[1_000 * number + place for place in range(length)] for number, length in enumerate(choices["lengths"])]
    rows = datasets.Dataset.from_dict({"input_ids": texts})
    rows = pack_dataset(rows, choices["max_length"], choices["packing_strategy"])["input_ids"]
    how = {"bfd": "best fit", "bfd_split": "best fit, split", "wrapped": "wrapped"}[choices["packing_strategy"]]
    ours = [
        [token for piece in row for token in texts[piece.document][piece.start : piece.stop]]
        for row in laid(choices["lengths"], choices["max_length"], how)
    ]
    if choices["packing_strategy"] == "wrapped":
        assert rows == ours, "TRL cuts elsewhere."
    assert sorted(map(len, rows)) == sorted(map(len, ours)), "TRL fills its rows otherwise."
    assert sorted(chain(*rows)) == sorted(chain(*ours)), "TRL keeps other tokens."
    yield {"iterations": len(rows)}


@check("sentence-transformers", 40)
def pairs(draw):
    import datasets
    from sentence_transformers import (
        SentenceTransformerTrainer,
        SentenceTransformerTrainingArguments,
    )
    from sentence_transformers.losses import CosineSimilarityLoss

    choices = random_arguments(draw, most=40)
    yield choices
    model = sentence_model()
    optimizer = Counting(model.parameters(), lr=0.0)
    number = choices["num_samples"]
    rows = datasets.Dataset.from_dict({"a": ["w1"] * number, "b": ["w2"] * number, "label": [1.0] * number})
    trainer = SentenceTransformerTrainer(
        model,
        SentenceTransformerTrainingArguments(
            **QUIET, **{name: value for name, value in choices.items() if name != "num_samples"}
        ),
        train_dataset=rows,
        loss=CosineSimilarityLoss(model),
        optimizers=(optimizer, torch.optim.lr_scheduler.ConstantLR(optimizer, 1.0)),
    )
    trainer.train()
    yield {"iterations": optimizer.steps, "global_step": trainer.state.global_step}


@cache
def sentence_model():
    """Bag of words with a tiny vocabulary; nothing is downloaded."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.models import BoW, Dense

    bag = BoW(vocab=[f"w{i}" for i in range(5)])
    return SentenceTransformer(modules=[bag, Dense(5, 2)], device="cpu")
