"""Compile the replicas of the transformer once, in a process of their own; all others load that machine code.

A process that compiles may round otherwise than one that loads what was compiled, in the last bit. That is enough
for a run at a far too high learning rate, of which the long records hold some, to go another way.
"""

import torch

from lib import catalog
from lib.sweep import sweep

language_model = catalog.tokens(64, 8)
for dtype in (torch.float32, torch.float64):
    torch.set_default_dtype(dtype)
    sweep(language_model, batch_size=16, seed=0, iterations=2, device="cpu", n_jobs=1)
