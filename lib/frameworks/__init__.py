"""How frameworks name and count what a plan counts, so that "it says 294 steps: why?" has an answer.

>>> from lib.frameworks import FRAMEWORKS
>>> trainer = FRAMEWORKS["transformers"]
>>> trainer.plan(num_samples=100, gradient_accumulation_steps=4).total_iterations
12
>>> trainer.defaults["per_device_train_batch_size"], trainer.words["iteration"]
(8, 'step')
>>> print(trainer.explain(num_samples=96, num_train_epochs=2.5))
30 = 2.5 × 12: 96 samples in batches of 8 make 12 batches. Hugging Face Trainer shows: global_step 30, epoch 2.5.

No framework is imported here: a rule is a function of the framework's own arguments, and
the tests in ``tests/frameworks`` compare it with the running framework.
"""

from lib.frameworks import classical, huggingface, keras_jax, language, others, pytorch  # noqa: F401  each fills FRAMEWORKS
from lib.frameworks.base import FRAMEWORKS, Answer, Framework
from lib.frameworks.schedulers import SCHEDULERS, Scheduler, steps_in

__all__ = ["FRAMEWORKS", "SCHEDULERS", "Answer", "Framework", "Scheduler", "steps_in"]
