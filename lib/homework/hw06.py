"""What homework 6 gives to a student: the numbers of a run that counts tokens, and documents of unequal length."""

from lib.sampling import generator

CHOICES = [  # of each pair, one is answered yes and one no
    {
        "scattered": "Random batches of unequal documents, padded to the longest: does a larger one hold more padding?",
        "alike": "All documents are equally long: does a larger batch hold a larger share of padding?",
    },
    {
        "wrapped": "Wrapped packing: is every token of every document in some row?",
        "not split": "Best fit, no document split, some longer than a row: is every token in some row?",
    },
    {
        "mask and places": "Document mask, places start again: is a packed document computed as if it were alone?",
        "mask only": "Document mask, places count on through the row: is a document computed as if it were alone?",
    },
    {
        "same tokens": "Packing is turned on, nothing is cut off: does an epoch still read as many tokens?",
        "same steps": "Packing is turned on, batch size and epochs stay: has the run as many iterations as before?",
    },
    {
        "full rows": "Micro-batches of equally many counted tokens: is the mean of their means the mean over tokens?",
        "answers": "Micro-batches of short and of long documents: is the mean of their means the mean over tokens?",
    },
    {
        "sums": "Each device: sum of its losses, times W, over the tokens of all; then averaged: the mean over tokens?",
        "own means": "Each device: the mean over its own tokens; then averaged: always the mean over all tokens?",
    },
    {
        "grows": "Does the error of a mean of means grow with the spread of the lengths?",
        "small": "Short and long documents, two a micro-batch: was their means' error under a tenth of the noise?",
    },
    {
        "part of it": "Can a run end after its whole budget of tokens and less than one epoch?",
        "all seen": "A budget of half the tokens of a data set: has every token of it been read?",
    },
]


def draw(draw) -> dict | None:
    """A run's T, B, A and W, a budget that no whole number of iterations meets, and documents for rows of 32."""
    T, B, A, W = draw.one_of([512, 1_024, 2_048]), draw.whole(3, 12), draw.whole(2, 6), draw.whole(2, 8)
    budget, dataset = draw.whole(30, 900) * 10**6, draw.whole(20, 2_000) * 10**6
    seed = draw.whole(1, 9_999)
    lengths = [draw.whole(2, 45) for _ in range(12)]
    exact = budget % (T * B * A * W) == 0
    if exact or A == W or budget == dataset or max(lengths) <= 32 or len(set(lengths)) < 8:
        return None
    return dict(
        T=T,
        B=B,
        A=A,
        W=W,
        budget=budget,
        dataset=dataset,
        seed=seed,
        lengths=lengths,
        choices=draw.statements(CHOICES, 6),
    )


def document_losses(seed: int, lengths: list[list[int]]) -> list[list[list[float]]]:
    """Losses of tokens: for each micro-batch its documents, with so many tokens each. Short ones are harder."""
    random = generator(seed, 6)
    return [[(random.random(length) + 4 / (1 + length)).round(3).tolist() for length in part] for part in lengths]
