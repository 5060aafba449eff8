"""Few-shot fine-tuning of the last linear layers (Milbich et al., NeurIPS 2021), many problems as one batch.

The backbone stays as it is, and so does everything else of the method but the heads: the module is in eval mode, where
batch norms use their running statistics; nothing here drops out or draws numbers of its own. The published protocol
runs the backbone on newly augmented support images in every step (`online`). Otherwise a few augmented views of every
image pass the backbone once, and a step picks from their kept features; nothing else differs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from oodml.adapters.base import Problem, Trained
from oodml.adapters.heads import State, Trainable, trainable
from oodml.adapters.protocol import Draws, FineTuning, draw
from oodml.errors import UsageError
from oodml.methods.base import number
from oodml.records import Scalar

QUERIES = 4096  # rows, or a 16th of them as images, that are embedded together
BUDGET = 1 << 30  # bytes of problems that train together
Features = Callable[[int, int], tuple[Tensor, Tensor | None]]


class Linear(FineTuning):
    """Trains the heads on the support images.

    Options: `views` kept per image, `online` for the published protocol, `steps` (0: as published), `lr`,
    `batch_size`, and `criterion`, `beta` and `margin`, see `make_criterion`.

    On the CPU a problem gets the same numbers, to the last bit, whatever trains beside it; with more than one thread
    the library may split a lone problem's matrices in another way.
    """

    name = "linear"

    def __init__(self, options: Mapping[str, Scalar]) -> None:
        super().__init__(options)
        self.online, self.views = bool(options["online"]), int(number(options, "views"))
        if self.views < 1:
            raise UsageError(f"linear.views should be at least 1, got {self.views}")

    def adapt(self, problems: Sequence[Problem]) -> Iterator[Tensor]:
        """Adapted embeddings of the queries of every problem, (q, d), in the order of the problems.

        Raises:
            UsageError: If the embedding needs the feature map and features are kept.
        """
        networks = {id(model): trainable(model) for model in {id(p.model): p.model for p in problems}.values()}
        found = [networks[id(problem.model)] for problem in problems]
        for what, problem in zip(found, problems, strict=True):
            self._check(what, problem.model)
        groups, done = [what.group() for what in found], dict[int, dict[str, Tensor]]()
        for first, problem in enumerate(problems):
            if first not in done:
                equal = [i for i in range(first, len(problems)) if groups[i] == groups[first] and i not in done]
                chunk = self._affordable(equal, found, problems)
                trained = self._train([problems[i] for i in chunk], [found[i] for i in chunk])
                done.update(zip(chunk, trained, strict=True))
            yield _embed(problem, found[first], done.pop(first))

    def _check(self, what: Trainable, model: Trained) -> None:
        if not what.kept and not self.online:
            name = type(model.network.method).__name__
            raise UsageError(
                f"the embedding of {name} depends on the feature map, of which no features are kept; "
                "set linear:online=true, which runs the backbone in every step"
            )

    def _affordable(self, indices: list[int], found: Sequence[Trainable], problems: Sequence[Problem]) -> list[int]:
        """The first of the problems, as many as fit into memory together, one at least."""
        what = found[indices[0]]
        weights = 16 * sum(tensor.numel() for tensor in what.state.values())  # with gradients and two moments
        batch, image = 4 * self.batch_size * what.inputs, 0 if self.online else 4 * self.views * what.inputs
        drawn = self.batch_size * (16 + 4 * self.criterion.draws)
        costs = [weights + batch + problems[i].support.size * image + self.steps(problems[i]) * drawn for i in indices]
        return indices[: max(1, int((np.cumsum(costs) <= BUDGET).sum()))]

    @torch.enable_grad()
    def _train(self, problems: Sequence[Problem], found: Sequence[Trainable]) -> list[dict[str, Tensor]]:
        """The trained states of problems of one group."""
        steps = np.array([self.steps(problem) for problem in problems])
        order = np.argsort(-steps, kind="stable")  # so that those that are done leave at the end
        problems, what, steps = [problems[i] for i in order], found[0], steps[order]
        draws = [self._draw(problem, int(count)) for problem, count in zip(problems, steps, strict=True)]
        features = self._online(problems, what, draws) if self.online else self._kept(problems, draws)
        device = problems[0].model.device
        labels = _side_by_side([d.picks // p.support.shape[1] for d, p in zip(draws, problems, strict=True)], device)
        uniform = _side_by_side([d.uniform for d in draws], device)
        batch = _Batch(what.stacked([found[i] for i in order]), self.lr)
        for step in range(steps[0]):
            batch.narrow(int((steps > step).sum()))
            z = what.embed_stacked(batch.leaves, *features(step, batch.size))
            batch.step(self.criterion(z, labels[step, : batch.size], uniform[step, : batch.size]).sum())
        places = np.argsort(order)
        return [{name: rows[place] for name, rows in batch.everything.items()} for place in places]

    def _draw(self, problem: Problem, steps: int) -> Draws:
        views = self.views if problem.model.augments else 1
        return draw(problem, steps, self.batch_size, views, self.criterion.draws)

    def _kept(self, problems: Sequence[Problem], draws: Sequence[Draws]) -> Features:
        """Rows (p, b, f) of a table that holds the views of the support images of every network once."""
        models = {id(problem.model): problem.model for problem in problems}
        parts, places, start = list[Tensor](), dict[int, tuple[np.ndarray, int]](), 0
        for name, model in models.items():
            images = np.unique(np.concatenate([p.support.ravel() for p in problems if p.model is model]))
            parts.append(model.views(images, self.views).flatten(0, 1))
            places[name] = images, start
            start += len(parts[-1])
        table = torch.cat(parts) if len(parts) > 1 else parts[0]
        rows = []
        for problem, drawn in zip(problems, draws, strict=True):
            images, start = places[id(problem.model)]
            own = torch.from_numpy(np.searchsorted(images, problem.support.ravel()))
            views = self.views if problem.model.augments else 1
            rows.append(start + own[drawn.picks] * views + drawn.views)
        stacked = _side_by_side(rows, table.device)
        room = table.new_empty(len(problems), self.batch_size, table.shape[1])  # new memory every step costs as much

        def of_all(step: int, size: int) -> tuple[Tensor, None]:
            torch.index_select(table, 0, stacked[step, :size].flatten(), out=room[:size].view(-1, table.shape[1]))
            return room[:size], None

        return of_all

    def _online(self, problems: Sequence[Problem], what: Trainable, draws: Sequence[Draws]) -> Features:
        """Features of newly augmented images through the backbone, one problem after the other."""
        generators = [problem.generator("augmentation") for problem in problems]

        @torch.inference_mode()
        def of_one(i: int, step: int) -> tuple[Tensor, Tensor | None]:
            model, images = problems[i].model, problems[i].support.ravel()[draws[i].picks[step].numpy()]
            return features(model, what, model.source.train_inputs(model.rows[images], generators[i]))

        def of_all(step: int, size: int) -> tuple[Tensor, Tensor | None]:
            pooled, maps = zip(*(of_one(i, step) for i in range(size)), strict=True)
            return torch.stack(pooled), None if what.kept else torch.stack(maps)

        return of_all


class _Batch:
    """Problems that are stepped on together; all that Adam does is elementwise, so each is on its own."""

    def __init__(self, everything: dict[str, Tensor], lr: float) -> None:
        self.everything, self.lr = everything, lr
        self._start(len(next(iter(everything.values()))))

    def _start(self, size: int) -> None:
        self.size = size
        self.leaves = {name: torch.nn.Parameter(rows[:size]) for name, rows in self.everything.items()}
        self.optimizer = torch.optim.Adam(self.leaves.values(), lr=self.lr, weight_decay=0.0, fused=True)

    def narrow(self, size: int) -> None:
        """Lets all but the first problems leave, with the values that they have."""
        if size == self.size:
            return
        states = [self.optimizer.state[leaf] for leaf in self.leaves.values()]
        self._start(size)
        for leaf, state in zip(self.leaves.values(), states, strict=True):
            moments = {name: state[name][:size] for name in ("exp_avg", "exp_avg_sq")}
            self.optimizer.state[leaf] = {"step": state["step"], **moments}

    def step(self, loss: Tensor) -> None:
        """One step on the sum of the losses; gradients reach nothing but the leaves."""
        slopes = torch.autograd.grad(loss, list(self.leaves.values()))
        for leaf, slope in zip(self.leaves.values(), slopes, strict=True):
            leaf.grad = slope
        self.optimizer.step()


def _side_by_side(parts: Sequence[Tensor], device: torch.device) -> Tensor:
    """Tensors (steps, b, ...) of problems as one (steps, p, b, ...), filled up by zeros where steps differ."""
    return pad_sequence(list(parts)).to(device)


def features(model: Trained, what: Trainable, inputs: Tensor) -> tuple[Tensor, Tensor | None]:
    """From inputs to what the embedder takes: pooled features (b, f), and the feature map if it needs it."""
    if what.kept:
        return model.network(inputs).pooled, None
    found = model.network.backbone(inputs)
    return found.pooled.float(), found.feature_map.float()


@torch.no_grad()
def _embed(problem: Problem, what: Trainable, rows: State) -> Tensor:
    """Embeddings of the queries under an adapted state (rows as in `Trainable.unpacked`), shape (q, d)."""
    model, size = problem.model, QUERIES if what.kept else QUERIES // 16
    parts = []
    for start in range(0, len(problem.queries), size):
        images = problem.queries[start : start + size]
        if what.kept:
            pooled, last = problem.rows_of(model.pooled, images), None
        else:
            pooled, last = features(model, what, model.source.test_inputs(model.rows[images]))
        parts.append(what.embed(what.unpacked(rows), pooled, last))
    return torch.cat(parts)
