"""Progress bars of long runs."""

import os

from tqdm.auto import tqdm


def bar(*steps, **options):
    """A bar of ``tqdm`` that vanishes at its end; none where ``TQDM_DISABLE`` is set.

    In a notebook tqdm does not look at that variable by itself.
    """
    return tqdm(*steps, leave=False, disable="TQDM_DISABLE" in os.environ, **options)
