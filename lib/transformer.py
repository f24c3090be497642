"""A decoder-only transformer, small enough for one core: one run of it, or many replicas at once.

Its arithmetic is written for replicas, whose weights are stacked: every product is a batched one. A single
model is a stack of one. ``torch.func.vmap`` would stack it too, but at half the speed.
"""

import torch
from torch import nn
from torch.nn import functional as F


class Table(nn.Embedding):
    """An embedding whose entries begin with a length of about 1."""

    @property
    def std(self) -> float:
        """Of its initial weights, for ``lib.models.initialized``."""
        return self.embedding_dim**-0.5


class Transformer(nn.Module):
    """Predicts each next token from those before it.

    Rows of tokens in, (rows, T); scores out, (rows, T, vocabulary). Rows may say which document each
    token is of: then they are (rows, 2, T), tokens and numbers of documents, and attention stays inside
    a document, whose places are counted from its own beginning.

    Parameters
    ----------
    vocabulary, length : int
        Different tokens; tokens of the longest row.
    width, heads, layers : int
    mask, reset : bool
        What is done with the numbers of documents: no attention between documents, and places that start
        again in each. False leaves it out, as many trainers do.
    """

    def __init__(
        self,
        vocabulary: int,
        length: int,
        width: int = 32,
        heads: int = 2,
        layers: int = 1,
        mask: bool = True,
        reset: bool = True,
    ):
        super().__init__()
        self.heads, self.mask, self.reset = heads, mask, reset
        self.token, self.place = Table(vocabulary, width), Table(length, width)
        for layer in range(layers):
            self.add_module(f"attend{layer}", nn.Linear(width, 3 * width, bias=False))
            self.add_module(f"mix{layer}", nn.Linear(width, width, bias=False))
            self.add_module(f"widen{layer}", nn.Linear(width, 4 * width, bias=False))
            self.add_module(f"narrow{layer}", nn.Linear(4 * width, width, bias=False))
        self.scores = nn.Linear(width, vocabulary, bias=False)
        self.layers = layers

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        return self.stacked({name: p[None] for name, p in self.named_parameters()}, rows[None])[0]

    def stacked(self, weights: dict[str, torch.Tensor], rows: torch.Tensor) -> torch.Tensor:
        """Scores of replicas, each with weights and rows of its own; the first axis of all tensors counts them."""
        tokens, documents = rows.unbind(-2) if rows.dim() == 4 else (rows, None)
        (replicas, number, length), heads = tokens.shape, self.heads
        places, allowed = torch.arange(length, device=rows.device), None
        if documents is not None:
            allowed = of_same_document(documents).flatten(0, 1)[:, None] if self.mask else None
            places = places_in_document(documents) if self.reset else places
        x = looked_up(weights["token.weight"], tokens)
        x = norm(x + looked_up(weights["place.weight"], places.expand_as(tokens))).flatten(1, 2)
        for layer in range(self.layers):
            parts = torch.bmm(norm(x), weights[f"attend{layer}.weight"].mT)
            query, key, value = parts.view(replicas * number, length, 3, heads, -1).permute(2, 0, 3, 1, 4)
            read = F.scaled_dot_product_attention(query, key, value, allowed, is_causal=allowed is None)
            x = torch.baddbmm(x, read.transpose(1, 2).reshape(x.shape), weights[f"mix{layer}.weight"].mT)
            wide = torch.bmm(norm(x), weights[f"widen{layer}.weight"].mT).relu()
            x = torch.baddbmm(x, wide, weights[f"narrow{layer}.weight"].mT)
        return torch.bmm(norm(x), weights["scores.weight"].mT).unflatten(1, (number, length))


def norm(x: torch.Tensor) -> torch.Tensor:
    """Root mean square normalisation (Zhang & Sennrich 2019), without weights."""
    return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + 1e-6)


def looked_up(tables: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
    """Entries of each replica's own table, (replicas, entries, width); tokens are (replicas, rows, T)."""
    first = torch.arange(len(tables), device=tokens.device) * tables.shape[1]
    return F.embedding(tokens + first[:, None, None], tables.flatten(0, 1))


def of_same_document(documents: torch.Tensor) -> torch.Tensor:
    """Whether a token may look at another: of the same document, and not behind it; (..., T) to (..., T, T)."""
    return (documents[..., :, None] == documents[..., None, :]).tril()


def places_in_document(documents: torch.Tensor) -> torch.Tensor:
    """Tokens of the same document before each token."""
    here = torch.arange(documents.shape[-1], device=documents.device)
    begins = F.pad(documents.diff() != 0, (1, 0))
    return here - torch.where(begins, here, 0).cummax(-1).values
