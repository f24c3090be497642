"""Datasets of the course: generated or bundled, never downloaded.

``mnist1d`` is MNIST-1D (Greydanus & Kobak 2024, "Scaling Down Deep Learning with
MNIST-1D", arXiv:2011.14439) made by its published generator; ``digits`` is
scikit-learn's 8 x 8 digits.
"""

import contextlib
import hashlib
import io
import os
import random
import warnings
import zipfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from lib.checks import whole_number
from lib.files import write_atomically

CACHE = Path(os.environ.get("EPOCH_CACHE", Path(__file__).resolve().parents[1] / ".cache")) / "data"

# Checksum of what the published generator makes, for the sizes the course uses.
PUBLISHED = {(10_000, 2_500, 42): "72d8b5c371bba25aa9f08ab4f1260c9658ac86445768b11466318e91ef6c16b1"}


SPLITS = ("train", "validation", "test")


@dataclass(frozen=True)
class Dataset:
    """Samples for training, for choosing (validation) and for reporting (test).

    Attributes
    ----------
    x_train, x_validation, x_test : numpy.ndarray, shape (samples, ...)
        What the model is given: features as floats, or the numbers of tokens as integers.
    y_train, y_validation, y_test : numpy.ndarray, shape (samples, ...)
        What it should answer, such as classes counted from 0.
    """

    name: str
    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    x_validation: np.ndarray | Any = None  # no samples, once it is made
    y_validation: np.ndarray | Any = None

    def __post_init__(self):
        for name in ("x", "y"):
            if getattr(self, f"{name}_validation") is None:
                object.__setattr__(self, f"{name}_validation", getattr(self, f"{name}_train")[:0])
        for split in SPLITS:
            x, y = self.split(split)
            if len(x) != len(y):
                raise ValueError(f"{self.name} has {len(x)} {split} samples and {len(y)} targets; give one for each.")

    def __len__(self) -> int:
        """Number of training samples, N."""
        return len(self.x_train)

    def __repr__(self) -> str:
        choosing = f"{len(self.x_validation):,} for choosing, " if len(self.x_validation) else ""
        classes = f" features, {self.num_classes} classes" if self.y_train.ndim == 1 and self.is_classes else " numbers"
        return (
            f"{self.name}: {len(self):,} samples for training, {choosing}{len(self.x_test):,} for testing, "
            f"{self.num_features}{classes}"
        )

    @property
    def num_features(self) -> int:
        """Numbers of one sample."""
        return int(np.prod(self.x_train.shape[1:]))

    @property
    def is_classes(self) -> bool:
        """Whether the targets are whole numbers."""
        return self.y_train.dtype.kind in "iu"

    @property
    def num_classes(self) -> int:
        """Classes, counted from 0 to the largest target."""
        return int(self.y_train.max()) + 1

    def split(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """Inputs and targets of "train", "validation" or "test"."""
        return getattr(self, f"x_{name}"), getattr(self, f"y_{name}")

    def first(self, num_samples: int) -> "Dataset":
        """The same dataset with only its first ``num_samples`` training samples."""
        if not 1 <= num_samples <= len(self):
            raise ValueError(f"num_samples is {num_samples}, but {self.name} has 1 to {len(self)} training samples.")
        return replace(self, x_train=self.x_train[:num_samples], y_train=self.y_train[:num_samples])

    def hold_out(self, num_validation: int, num_test: int | None = None) -> "Dataset":
        """The same dataset with its first test samples for validation, and the (first ``num_test``) others for testing.

        Whatever is chosen, such as a learning rate, is chosen on the validation samples; the
        test samples are for what is reported.
        """
        whole_number("num_validation", num_validation, at_least=0, at_most=len(self.x_test))
        end = None if num_test is None else num_validation + num_test
        x, y = self.x_test, self.y_test
        return replace(
            self,
            x_validation=x[:num_validation],
            y_validation=y[:num_validation],
            x_test=x[num_validation:end],
            y_test=y[num_validation:end],
        )

    def checksum(self) -> str:
        """SHA-256 of all arrays, floats rounded to 3 decimals because another CPU may differ in the last bit."""
        digest = hashlib.sha256()
        arrays = [self.x_train, self.y_train, self.x_test, self.y_test]
        if len(self.x_validation):
            arrays += [self.x_validation, self.y_validation]
        for array in arrays:
            digest.update(str(array.shape).encode() + np.rint(array * 1000.0).astype("<i4").tobytes())
        return digest.hexdigest()


def mnist1d(num_train: int = 10_000, num_test: int = 2_500, seed: int = 42) -> Dataset:
    """MNIST-1D: ten digit-like curves of 40 points, shifted, scaled, sheared and noisy.

    The first call for given sizes generates the samples (some seconds) and keeps
    them in the project's ``.cache`` folder, or in ``$EPOCH_CACHE``; later calls read
    them and check them. A damaged cache is named in a warning and made again.

    Parameters
    ----------
    num_train, num_test : int
        Samples for training and testing; their sum must be a multiple of 10.
    seed : int
        Seed of the published generator, whose default is 42.

    Returns
    -------
    Dataset
        40 features, 10 classes; features standardised by the generator over
        training and test samples together.
    """
    num_train = whole_number("num_train", num_train, at_least=1)
    num_test = whole_number("num_test", num_test, at_least=1)
    seed = whole_number("seed", seed, at_least=0)
    if (num_train + num_test) % 10:
        raise ValueError(
            f"num_train + num_test is {num_train + num_test}, but the generator makes equally many of "
            f"10 classes, so the sum must be a multiple of 10."
        )
    path = CACHE / f"mnist1d-{num_train}-{num_test}-{seed}.npz"
    try:
        return _read(path)
    except (FileNotFoundError, NotADirectoryError):
        pass
    except (ValueError, KeyError, OSError, zipfile.BadZipFile, EOFError) as error:
        warnings.warn(f"The cached dataset {path.name} is damaged ({error}); it is generated again.", stacklevel=2)
    data = _generate(num_train, num_test, seed)
    expected = PUBLISHED.get((num_train, num_test, seed))
    if expected is not None and data.checksum() != expected:
        raise RuntimeError(
            f"The generator made other samples than the published ones for num_train={num_train}, "
            f"num_test={num_test}, seed={seed}; install the pinned packages of requirements.txt."
        )
    with contextlib.suppress(OSError):  # a read-only disk costs time, not the lesson
        _write(path, data)
    return data


def digits(num_test: int = 297, seed: int = 0) -> Dataset:
    """scikit-learn's 1,797 handwritten digits of 8 x 8 pixels, scaled to 0...1 and split at random."""
    from sklearn.datasets import load_digits  # here, because it takes a second and few lessons need it

    num_test = whole_number("num_test", num_test, at_least=1, at_most=1796)
    x, y = load_digits(return_X_y=True)
    order = np.random.default_rng(seed).permutation(len(x))
    x, y = (x[order] / 16).astype(np.float32), y[order].astype(np.int64)
    return Dataset("digits", x[num_test:], y[num_test:], x[:num_test], y[:num_test])


def _generate(num_train: int, num_test: int, seed: int) -> Dataset:
    from mnist1d.data import get_dataset_args, make_dataset  # here, because it takes a second

    numpy_state, python_state = np.random.get_state(), random.getstate()  # make_dataset seeds both
    try:
        args = get_dataset_args()
        args.num_samples, args.seed = num_train + num_test, seed
        with contextlib.redirect_stdout(io.StringIO()):
            made = make_dataset(args)
    finally:
        np.random.set_state(numpy_state)
        random.setstate(python_state)
    x = np.concatenate([made["x"], made["x_test"]]).astype(np.float32)
    y = np.concatenate([made["y"], made["y_test"]]).astype(np.int64)
    return Dataset("MNIST-1D", x[:num_train], y[:num_train], x[num_train:], y[num_train:])


def _read(path: Path) -> Dataset:
    with np.load(path) as stored:
        data = Dataset("MNIST-1D", *(stored[k] for k in ("x_train", "y_train", "x_test", "y_test")))
        if str(stored["checksum"]) != data.checksum():
            raise ValueError("its checksum does not match")
    return data


def _write(path: Path, data: Dataset):
    content = io.BytesIO()
    np.savez(
        content,
        x_train=data.x_train,
        y_train=data.y_train,
        x_test=data.x_test,
        y_test=data.y_test,
        checksum=data.checksum(),
    )
    write_atomically(path, content.getvalue())
