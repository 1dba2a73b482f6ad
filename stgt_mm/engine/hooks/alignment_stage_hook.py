"""The alignment objective that the present epoch trains with."""

from collections.abc import Sequence
from typing import Any

from mmengine.hooks import Hook

from stgt_mm.registry import HOOKS
from stgt_mm.utils import bare_model


@HOOKS.register_module()
class AlignmentStageHook(Hook):
    """Sets ``contrastive_head.alpha`` from the epoch alone, so that resuming needs no state.

    Args:
        stages: ``(epochs, alpha)`` of each stage; alpha 1 trains VTC, 0 CSAL, between them both. The last
            one stays.

    Raises:
        ValueError: If a stage has no epoch or its alpha is outside [0, 1].

    Note:
        Source: STGT Eq. 21 and section 4.1: alpha is 1 in the first 12 epochs, then 0.
    """

    changes_training = True
    stages_in_epochs = True

    def __init__(self, stages: Sequence[tuple[int, float]] = ((12, 1.0), (6, 0.0))):
        self.stages = [(int(epochs), float(alpha)) for epochs, alpha in stages]
        if not self.stages or any(epochs < 1 or not 0 <= alpha <= 1 for epochs, alpha in self.stages):
            raise ValueError(f'stages={stages}: each is (epochs >= 1, alpha in [0, 1]).')

    def alpha(self, epoch: int) -> float:
        """Returns alpha of an epoch, counted from 0."""
        for epochs, alpha in self.stages:
            if epoch < epochs:
                return alpha
            epoch -= epochs
        return self.stages[-1][1]

    def before_train(self, runner: Any) -> None:
        """Sets alpha; a model without ``contrastive_head.alpha`` is a ValueError."""
        model = bare_model(runner.model)
        head = getattr(model, 'contrastive_head', None)
        if not hasattr(head, 'alpha'):
            raise ValueError(
                'AlignmentStageHook needs a model with contrastive_head.alpha, '
                f'which {type(model).__name__} has not.'
            )
        head.alpha = self.alpha(runner.epoch)

    def before_train_epoch(self, runner: Any) -> None:
        """Sets alpha and logs a change."""
        head = bare_model(runner.model).contrastive_head
        alpha = self.alpha(runner.epoch)
        if alpha != head.alpha:
            runner.logger.info(f'Epoch {runner.epoch + 1}: alpha goes from {head.alpha} to {alpha}')
        head.alpha = alpha
