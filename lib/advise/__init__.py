"""Ask about your own run: which batch size, at which learning rate, for how long, with the evidence and its limits.

python -m lib.advise my_file.py:make_model my_file.py:make_data

or, in a notebook, ``advise(model, data)``.
"""

from lib.advise.ask import advise
from lib.advise.report import Advice

__all__ = ["Advice", "advise"]
