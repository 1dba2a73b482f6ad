"""The learning rate over several stages as one function of the step."""

import math
from collections.abc import Sequence
from typing import Any

from mmengine.optim import _ParamScheduler

from stgt_mm.registry import PARAM_SCHEDULERS

_FOREVER = int(1e9)


@PARAM_SCHEDULERS.register_module()
class StagedWarmupCosine(_ParamScheduler):
    """Cosine decay that restarts at the peak of each stage, with a linear warm-up.

    At step ``t`` of a stage of ``n`` steps with peak ``p`` and ``w`` warm-up steps the rate is
    ``warmup_start + (p - warmup_start) * t / w`` while ``t < w``, then
    ``min_lr + (p - min_lr) * (1 + cos(pi * (t - w) / (n - w))) / 2``; after the last stage ``min_lr``.
    It depends on the step alone, so resuming needs nothing but the step.

    The rates belong to a parameter group with the optimizer's own ``lr``; a group with a multiple of that (a
    multiplier by name, ``--auto-scale-lr``) gets that multiple of the schedule.

    Args:
        optimizer: Optimizer or its wrapper.
        stages: ``(length, peak)`` of each stage; length in steps, or in epochs with
            ``convert_to_iter_based=True``.
        warmup_iters: Steps of warm-up in the first stage.
        warmup_ratio: Warm-up as a share of the first stage, instead of ``warmup_iters``.
        warmup_start: Rate at step 0 if there is a warm-up.
        min_lr: Rate at the end of each stage.
        warmup_every_stage: Warm up in all stages.
        by_epoch: Must be false: the schedule moves every step.
        begin: Must be 0.
        end: Step after which the rate is left alone.
        last_step: Step to go on from, -1 to start.

    Raises:
        ValueError: If a stage is not positive, the warm-up does not fit, or epochs were not converted.

    Note:
        Source: STGT section 4.1 gives peaks and lengths of the two stages; cosine and floor are BLIP-2's.
    """

    # of the config: its stages are counted in epochs if this key is true there
    stages_in_epochs = 'convert_to_iter_based'

    def __init__(
        self,
        optimizer: Any,
        stages: Sequence[tuple[float, float]],
        warmup_iters: int = 0,
        warmup_ratio: float = 0.0,
        warmup_start: float = 1e-7,
        min_lr: float = 1e-6,
        warmup_every_stage: bool = False,
        by_epoch: bool = False,
        begin: int = 0,
        end: int = _FOREVER,
        last_step: int = -1,
    ):
        if by_epoch:
            raise ValueError(
                'StagedWarmupCosine moves every step: add convert_to_iter_based=True beside its type.'
            )
        if begin != 0:
            raise ValueError(
                f'begin={begin}: StagedWarmupCosine starts at step 0; use one more stage instead.'
            )
        self.stages = [(int(length), float(peak)) for length, peak in stages]
        if not self.stages or any(length < 1 or peak <= 0 for length, peak in self.stages):
            raise ValueError(f'stages={stages}: each needs a length of at least one step and a peak above 0.')
        if warmup_iters and warmup_ratio:
            raise ValueError('give warmup_iters or warmup_ratio, not both.')
        self.warmup_steps = []
        for index, (length, _) in enumerate(self.stages):
            steps = int(warmup_iters) if warmup_iters else round(length * warmup_ratio)
            steps = steps if index == 0 or warmup_every_stage else 0
            if not 0 <= steps < length:
                raise ValueError(f'a warm-up of {steps} steps does not fit a stage of {length}; shorten it.')
            self.warmup_steps.append(steps)
        self.warmup_start = warmup_start
        self.min_lr = min_lr
        self.reference_lr = float(optimizer.defaults['lr'])
        super().__init__(optimizer, 'lr', begin, end, last_step, by_epoch=False)

    @classmethod
    def build_iter_from_epoch(
        cls, *args: Any, stages: Sequence[tuple[float, float]], epoch_length: int, **kwargs: Any
    ) -> 'StagedWarmupCosine':
        """Builds the schedule in steps from ``stages`` and ``end`` that are given in epochs."""
        kwargs.pop('by_epoch', None)
        if 'end' in kwargs:
            kwargs['end'] = max(1, int(kwargs['end'] * epoch_length))
        stages = [(round(epochs * epoch_length), peak) for epochs, peak in stages]
        return cls(*args, stages=stages, **kwargs)

    def rate(self, step: int) -> float:
        """Computes the learning rate of a group with multiplier 1 at a global step, from 0."""
        for (length, peak), warmup in zip(self.stages, self.warmup_steps):
            if step < warmup:
                return self.warmup_start + (peak - self.warmup_start) * step / warmup
            if step < length:
                done = (step - warmup) / (length - warmup)
                return self.min_lr + (peak - self.min_lr) * 0.5 * (1 + math.cos(math.pi * done))
            step -= length
        return self.min_lr

    def _get_value(self) -> list[float]:
        rate = self.rate(self.last_step)
        return [rate * base / self.reference_lr for base in self.base_values]
