"""Gradient descent with any batch size on a surface of two weights."""

import html

import numpy as np
import traitlets

from lib.checks import whole_number
from lib.plan import TrainingPlan
from lib.sampling import batches, epoch_order
from lib.widgets.base import Widget, bundle, style


class PathViewer(Widget):
    """Walks of gradient descent that fits a line, ``target = w0 + w1 * feature``, by least squares.

    Parameters
    ----------
    feature, target : numpy.ndarray of float, shape (N,)
        The samples; they travel in the page, so a few hundred at most.
    batch_size : int
        Samples that decide one iteration; the reader can change it.
    learning_rate : float
        The reader can change it too.
    epochs : int
        Passes over the samples.
    start : tuple of 2 float
        Weights before the first iteration.
    seed : int
        Determines the order of samples, see ``lib.sampling.epoch_order``.

    Raises
    ------
    ValueError
        ``feature`` and ``target`` are not two lists of equally many numbers.
    """

    _esm = bundle("path_viewer")
    _css = style("path_viewer")
    feature = traitlets.List(traitlets.Float()).tag(sync=True)
    target = traitlets.List(traitlets.Float()).tag(sync=True)
    orders: traitlets.List = traitlets.List().tag(sync=True)
    start = traitlets.List(traitlets.Float()).tag(sync=True)
    optimum = traitlets.List(traitlets.Float()).tag(sync=True)
    batch_size = traitlets.Int().tag(sync=True)
    learning_rate = traitlets.Float().tag(sync=True)

    def __init__(
        self,
        feature: np.ndarray,
        target: np.ndarray,
        batch_size: int = 20,
        learning_rate: float = 0.1,
        epochs: int = 10,
        start: tuple[float, float] = (-1.0, -1.0),
        seed: int = 0,
    ):
        feature, target = np.asarray(feature, dtype=float), np.asarray(target, dtype=float)
        if feature.ndim != 1 or feature.shape != target.shape:
            raise ValueError(f"feature has shape {feature.shape} and target {target.shape}, but both must be (N,).")
        batch_size, epochs = (
            whole_number(n, v, at_least=1) for n, v in (("batch_size", batch_size), ("epochs", epochs))
        )
        TrainingPlan(len(feature), batch_size, epochs)  # refuses bad choices with a sentence
        inputs = np.column_stack([np.ones(len(feature)), feature])
        super().__init__(
            feature=feature.tolist(),
            target=target.tolist(),
            start=list(map(float, start)),
            batch_size=batch_size,
            learning_rate=learning_rate,
            optimum=np.linalg.lstsq(inputs, target, rcond=None)[0].tolist(),
            orders=[epoch_order(len(feature), seed, epoch).tolist() for epoch in range(epochs)],
        )

    def path(self, batch_size: int | None = None) -> np.ndarray:
        """The weights before and after each iteration, shape (iterations + 1, 2)."""
        feature, target, weights = np.array(self.feature), np.array(self.target), np.array(self.start)
        inputs = np.column_stack([np.ones(len(feature)), feature])
        path = [weights]
        for order in self.orders:
            for batch in batches(np.array(order), batch_size or self.batch_size):
                gradient = inputs[batch].T @ (inputs[batch] @ weights - target[batch]) / len(batch)
                weights = weights - self.learning_rate * gradient
                path.append(weights)
        return np.array(path)

    def _ends(self) -> list[tuple[int, int, float]]:
        """Batch size, iterations and distance to the bottom of full batch, mini-batch and single samples."""
        sizes = sorted({len(self.feature), self.batch_size, 1}, reverse=True)
        paths = {size: self.path(size) for size in sizes}
        return [(size, len(path) - 1, float(np.linalg.norm(path[-1] - self.optimum))) for size, path in paths.items()]

    def sentence(self) -> str:
        iterations, distance = next((i, d) for size, i, d in self._ends() if size == self.batch_size)
        return (
            f"Path viewer: {len(self.orders)} epochs over {len(self.feature)} samples with batch size "
            f"{self.batch_size} and learning rate {self.learning_rate:g} make {iterations:,} iterations and end "
            f"{distance:.3f} from the bottom."
        )

    def details(self) -> str:
        rows = "".join(
            f"<tr><td>{size}</td><td>{iterations:,}</td><td>{distance:.3f}</td></tr>"
            for size, iterations, distance in self._ends()
        )
        head = "".join(
            f'<th scope="col">{html.escape(name)}</th>'
            for name in ("batch size", "iterations", "distance to the bottom at the end")
        )
        return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
