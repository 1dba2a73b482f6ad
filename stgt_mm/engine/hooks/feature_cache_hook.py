"""A hook that fills feature caches before training."""

from typing import Any

from mmengine.hooks import Hook

from stgt_mm.datasets.feature_warming import prepare_feature_cache
from stgt_mm.datasets.mixed_dataset import parts_of
from stgt_mm.registry import HOOKS
from stgt_mm.utils import bare_model


@HOOKS.register_module()
class FeatureCacheHook(Hook):
    """Fills and uses the caches of data sets with ``feature_cache=dict(root=...)``; leaves others alone.

    With a frozen backbone and a pipeline without randomness, decoding and the backbone give the same tokens
    in every epoch. Results are those without a cache up to its float16.

    Args:
        batch_size: Clips the backbone sees at once.
        num_workers: Processes that decode meanwhile.
    """

    priority = 'VERY_HIGH'

    def __init__(self, batch_size: int = 32, num_workers: int = 1) -> None:
        self.batch_size = batch_size
        self.num_workers = num_workers

    def before_train(self, runner: Any) -> None:
        """Prepares the caches of the training and the validation set."""
        model = bare_model(runner.model)
        loops = [runner.train_loop] + ([runner.val_loop] if runner.val_loop is not None else [])
        for loop in loops:
            for dataset in parts_of(loop.dataloader.dataset):
                if getattr(dataset, 'feature_cache', None) is not None:
                    prepare_feature_cache(
                        dataset, model.backbone, model.data_preprocessor, self.batch_size, self.num_workers
                    )
