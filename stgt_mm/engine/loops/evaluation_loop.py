"""The base of the loops that validate and test."""

from collections.abc import Iterator
from typing import Any

from mmengine.evaluator import Evaluator
from mmengine.runner import BaseLoop, Runner
from torch import nn
from torch.utils.data import DataLoader, Dataset

from stgt_mm.datasets.feature_warming import prepare_feature_cache
from stgt_mm.engine.loops.retrieval_options import autocast_dtype, collecting_broken, stop_if_missing
from stgt_mm.utils import bare_model


class EvaluationLoop(BaseLoop):
    """Base of loops that serve as ``val_cfg`` and as ``test_cfg``; a subclass has ``run``.

    Attributes:
        protocol: After a run, how its metrics came about.

    Args:
        runner: The runner.
        dataloader: Config or DataLoader.
        evaluator: Config or Evaluator.
        amp: ``'bfloat16'`` or ``'float16'`` runs the model under autocast; ``True`` means bfloat16.
        skip_broken: Leaves out videos that are missing or cannot be decoded and reports how many, instead of
            stopping: at the start for those that are missing.

    Raises:
        ValueError: If an option has an impossible value.
        BrokenVideosError: If files are missing and ``skip_broken`` is off.
    """

    def __init__(
        self,
        runner: Runner,
        dataloader: DataLoader | dict[str, Any],
        evaluator: Evaluator | dict[str, Any] | list[dict[str, Any]],
        amp: bool | str = False,
        skip_broken: bool = False,
    ) -> None:
        super().__init__(runner, collecting_broken(dataloader))
        self.evaluator = evaluator if isinstance(evaluator, Evaluator) else runner.build_evaluator(evaluator)
        self.evaluator.dataset_meta = getattr(self.dataloader.dataset, 'metainfo', None)
        self.amp = autocast_dtype(amp)
        self.skip_broken = skip_broken
        if not skip_broken:
            stop_if_missing(self.dataloader)
        self.protocol: dict[str, Any] = {}

    @property
    def model(self) -> nn.Module:
        """The model without its wrapper."""
        return bare_model(self.runner.model)

    @property
    def mode(self) -> str:
        """``'test'`` when this is the runner's test loop, else ``'val'``: which hooks are called."""
        return 'test' if getattr(self.runner, '_test_loop', None) is self else 'val'

    def _batches(self) -> Iterator[dict[str, Any]]:
        """Yields the batches, calling the hooks around each."""
        for index, batch in enumerate(self.dataloader):
            self.runner.call_hook(f'before_{self.mode}_iter', batch_idx=index, data_batch=batch)
            yield batch
            samples = batch['data_samples']
            self.runner.call_hook(
                f'after_{self.mode}_iter', batch_idx=index, data_batch=batch, outputs=samples
            )

    def _prepare_cache(self, dataset: Dataset) -> None:
        """Fills the cache of a data set that asks for one; by now the backbone has its final weights."""
        if getattr(dataset, 'feature_cache', None) is not None and not dataset.uses_cache:
            prepare_feature_cache(dataset, self.model.backbone, self.model.data_preprocessor)
