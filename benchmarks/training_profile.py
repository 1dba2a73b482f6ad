"""What a training step spends on the model, and what on everything else."""

from collections.abc import Iterator
from typing import Any
from unittest.mock import patch

from mmengine.hooks import Hook
from timing import Stopwatch, model_parts

from stgt_mm.engine.loops import epoch_loop

# What a step is not for; all other parts are the model and its update.
OVERHEAD = (
    'data loading',
    'tokenising',
    'seeding',
    'synchronisation',
    'hooks and logging',
    'rest of the step',
)


class StopAfterHook(Hook):
    """Ends training after some steps, and the watch with it: the checkpoint that follows is no step.

    Args:
        steps: How many.
        watch: The watch.
    """

    priority = 'LOWEST'

    def __init__(self, steps: int, watch: Stopwatch) -> None:
        self.steps = steps
        self.watch = watch

    def after_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: dict[str, Any] | None = None
    ) -> None:
        """Stops the loop when the steps are done.

        Args:
            runner: The runner.
            batch_idx: Index of the batch in the epoch.
            data_batch: The batch.
            outputs: Losses and diagnostics.
        """
        if runner.iter + 1 >= self.steps:
            runner.train_loop.stop_training = True
            self.watch.stop()


def profile_training(runner: Any, steps: int, warm_up: int = 3) -> Stopwatch:
    """Trains some steps through the runner's own loop and hooks, with a clock on each part.

    Args:
        runner: A ``VideoTextRunner`` without validation.
        steps: Steps that are measured.
        warm_up: Steps before them.

    Returns:
        The watch, a round a step. Outside the loop (start, checkpoint at the end) nothing is booked.

    Raises:
        ValueError: If the training is too short.
    """
    loop = runner.train_loop
    if loop.max_iters < steps + warm_up:
        raise ValueError(f'training has {loop.max_iters} steps, {warm_up} + {steps} are wanted: take fewer.')
    model = runner.bare_model
    watch = Stopwatch(next(model.parameters()).device)
    runner.register_hook(StopAfterHook(steps + warm_up, watch))
    batches_from = loop._batches_from

    def watched_batches(start: int) -> Iterator[Any]:
        batches = batches_from(start)
        if loop.iter == 0:
            # only now: schedulers take the methods of the optimizer when training starts
            for part, name in (('backward', 'backward'), ('optimizer', 'step'), ('optimizer', 'zero_grad')):
                method = watch.timed(part, getattr(runner.optim_wrapper, name))
                setattr(runner.optim_wrapper, name, method)
        while True:
            if loop.iter == warm_up:
                watch.drop_rounds()
            watch.new_round()
            with watch.part('data loading'):
                try:
                    batch = next(batches)
                except StopIteration:
                    return
            yield batch

    parts = [part for part in model_parts(model) if part[0] != 'prepare']
    parts += [
        ('tokenising', model.data_preprocessor, 'forward'),
        ('heads, losses', model, 'loss'),
        ('hooks and logging', runner, 'call_hook'),
        ('rest of the step', loop, 'run_iter'),
        ('synchronisation', epoch_loop, 'mean_over_ranks'),
        ('seeding', epoch_loop, 'seed_everything'),
    ]
    with (
        patch.object(loop, '_batches_from', watched_batches),
        watch.watching(*parts),
    ):
        runner.train()
    return watch


def overhead(seconds: dict[str, float]) -> float:
    """Returns the share of a step that is not the model.

    Args:
        seconds: Part -> seconds, as :meth:`Stopwatch.totals` gives them.

    Returns:
        A number in [0, 1].
    """
    return sum(seconds.get(part, 0.0) for part in OVERHEAD) / sum(seconds.values())
