"""The calibrated fusion weight, which travels with the checkpoint."""

from typing import Any

from mmengine.hooks import Hook
from mmengine.runner import Runner

KEY = 'fusion_weight'


class FusionWeightHook(Hook):
    """Keeps the weight in the checkpoint's meta data; ``RetrievalLoop`` registers it."""

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Writes the weight, if one was calibrated."""
        weight = runner.message_hub.get_info(KEY)
        if weight is not None:
            checkpoint.setdefault('meta', {})[KEY] = float(weight)

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Reads the weight, if there is one."""
        weight = checkpoint.get('meta', {}).get(KEY)
        if weight is not None:
            runner.message_hub.update_info(KEY, float(weight))
