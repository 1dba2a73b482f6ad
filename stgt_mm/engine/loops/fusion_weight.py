"""The calibrated fusion weight travels with the checkpoint."""

from typing import Any

from mmengine.hooks import Hook
from mmengine.runner import Runner

from stgt_mm.functional.fusion import DEFAULT_WEIGHT

KEY = 'fusion_weight'


def stored_weight(runner: Runner) -> float:
    """Returns the calibrated weight, or the default when none was calibrated.

    Args:
        runner: The runner.

    Returns:
        The weight of the matching margin.
    """
    weight = runner.message_hub.get_info(KEY)
    return DEFAULT_WEIGHT if weight is None else float(weight)


class FusionWeightHook(Hook):
    """Keeps the calibrated fusion weight in the checkpoint's meta data.

    :class:`~stgt_mm.engine.loops.retrieval_loop.RetrievalLoop` registers it.
    """

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Writes the weight, if one was calibrated.

        Args:
            runner: The runner.
            checkpoint: What is about to be saved.
        """
        weight = runner.message_hub.get_info(KEY)
        if weight is not None:
            checkpoint.setdefault('meta', {})[KEY] = float(weight)

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Reads the weight, if there is one.

        Args:
            runner: The runner.
            checkpoint: What was loaded.
        """
        weight = checkpoint.get('meta', {}).get(KEY)
        if weight is not None:
            runner.message_hub.update_info(KEY, float(weight))
