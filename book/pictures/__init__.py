"""The picture of each lesson: it opens the lesson as a question and closes it with the answer.

One function draws both. Given nothing, it draws the set-up, with blanks where the answer will stand; given what the
lesson has counted or measured, it fills them in. So a question cannot give away what it does not know, and other
numbers make another picture. No picture loads anything: a lesson hands over its own numbers.
"""

from book.pictures.choosing import choosing
from book.pictures.counting import batch_size, epoch, iteration, steps_per_epoch
from book.pictures.learning import generalization, learning_rate, more_epochs
from book.pictures.machines import accumulation, many_devices, survival
from book.pictures.measuring import four_clocks, gradient_noise, steps_to_target, time_of_an_iteration
from book.pictures.texts import batch_of_texts, mean_of_what, tokens_in_a_batch

__all__ = [
    "accumulation",
    "batch_of_texts",
    "batch_size",
    "choosing",
    "epoch",
    "four_clocks",
    "generalization",
    "gradient_noise",
    "iteration",
    "learning_rate",
    "many_devices",
    "mean_of_what",
    "more_epochs",
    "steps_per_epoch",
    "steps_to_target",
    "survival",
    "time_of_an_iteration",
    "tokens_in_a_batch",
]
