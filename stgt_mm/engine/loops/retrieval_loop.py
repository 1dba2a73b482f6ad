"""The loop that validates and tests retrieval: encode once, compare, re-rank, count."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import torch
from mmengine.evaluator import Evaluator
from mmengine.model import is_model_wrapper
from mmengine.runner import BaseLoop, Runner
from torch import nn
from torch.utils.data import DataLoader, Dataset

from stgt_mm.datasets.feature_warming import prepare_feature_cache
from stgt_mm.engine.loops.fusion_weight import KEY, FusionWeightHook, stored_weight
from stgt_mm.engine.loops.retrieval_options import (
    autocast_dtype,
    collecting_broken,
    evaluating,
    stop_if_missing,
)
from stgt_mm.evaluation.gallery import EncodedSplit
from stgt_mm.evaluation.paper_rows import PaperRow
from stgt_mm.evaluation.post_processing import PostProcessor
from stgt_mm.evaluation.retrieval_metric import RetrievalMetric
from stgt_mm.evaluation.scorer import Scorer
from stgt_mm.evaluation.two_stage import TwoStage, similarity_tables
from stgt_mm.functional.fusion import check_fusion
from stgt_mm.registry import LOOPS, METRICS


@LOOPS.register_module()
class RetrievalLoop(BaseLoop):
    """Retrieval in both directions with two-stage ranking; serves as ``val_cfg`` and as ``test_cfg``.

    ``t2v/*`` and ``v2t/*`` are the numbers of the chosen score fusion; with re-ranking, ``sim_t2v/*`` and
    ``sim_v2t/*`` stand beside them by similarity alone. Choices give ``<name>/accuracy`` and
    ``<name>/<kind>`` by similarity, and ``fused_<name>/*`` with re-ranking. Results do not change by a digit
    with the number of processes or the dataloader's batch size; they may, in the last digits, with the
    device and the number of threads.

    Source: BLIP-2's two-stage retrieval, k = 32 in the STGT release.

    Args:
        runner: The runner.
        dataloader: Config or DataLoader of a ``RetrievalDataset``.
        evaluator: Config or Evaluator with a ``RetrievalMetric``.
        rerank_k: Candidates a query that the matching head re-ranks; 0 turns re-ranking off.
        score_fusion: ``'itc'`` (no re-ranking), ``'itm'``, ``'itm+itc'`` or ``'calibrated'``, see
            :func:`~stgt_mm.functional.fusion.fuse_scores`.
        fusion_weight: Weight of the margin in ``'calibrated'``. ``None``: the calibrated one of the
            checkpoint, else 0.5.
        calibrate: Chooses the weight anew on this split and keeps it in checkpoints. For a validation split.
        post_processors: Configs of post-processors, ``DSL`` or ``QBNorm``, whose numbers are reported beside
            the others: ``t2v_dsl/*``, with re-ranking ``sim_t2v_dsl/*``.
        amp: ``'bfloat16'`` or ``'float16'`` runs the model under autocast; ``True`` means bfloat16.
        skip_broken: Leaves out videos that are missing or cannot be decoded and reports how many, instead of
            stopping: at the start for those that are missing.
        choices: Dataloader configs of ``ChoiceDataset`` by name.

    Raises:
        ValueError: If an option has an impossible value.
        BrokenVideosError: If files are missing and ``skip_broken`` is off.
    """

    def __init__(
        self,
        runner: Runner,
        dataloader: DataLoader | dict[str, Any],
        evaluator: Evaluator | dict[str, Any] | list[dict[str, Any]],
        rerank_k: int = 32,
        score_fusion: str = 'itm+itc',
        fusion_weight: float | None = None,
        calibrate: bool = False,
        post_processors: Sequence[dict[str, Any]] = (),
        amp: bool | str = False,
        skip_broken: bool = False,
        choices: dict[str, dict[str, Any]] | None = None,
    ) -> None:
        super().__init__(runner, collecting_broken(dataloader))
        self.evaluator = evaluator if isinstance(evaluator, Evaluator) else runner.build_evaluator(evaluator)
        if rerank_k < 0:
            raise ValueError(f'rerank_k={rerank_k} must be at least 0.')
        if calibrate and (score_fusion != 'calibrated' or fusion_weight is not None or not rerank_k):
            raise ValueError(
                "calibrate=True chooses the weight of score_fusion='calibrated': it needs that fusion, "
                f'rerank_k > 0 and no fusion_weight, not {score_fusion!r}, {rerank_k} and {fusion_weight}.'
            )
        self.fusion = check_fusion(score_fusion)
        self.rerank_k = 0 if self.fusion == 'itc' else rerank_k
        self.fusion_weight = fusion_weight
        self.calibrate = calibrate
        self.post_processors: list[PostProcessor] = [METRICS.build(config) for config in post_processors]
        self.amp = autocast_dtype(amp)
        self.skip_broken = skip_broken
        # built now: a wrong path must show before any work
        self._choice_loaders: dict[str, DataLoader] = {
            name: Runner.build_dataloader(collecting_broken(config), seed=runner.seed)
            for name, config in (choices or {}).items()
        }
        if not skip_broken:
            stop_if_missing([self.dataloader, *self._choice_loaders.values()])
        self.protocol: dict[str, Any] = {}
        if not any(isinstance(hook, FusionWeightHook) for hook in runner.hooks):
            runner.register_hook(FusionWeightHook())

    @property
    def model(self) -> nn.Module:
        """The model without its wrapper."""
        model = self.runner.model
        return model.module if is_model_wrapper(model) else model

    @property
    def mode(self) -> str:
        """``'test'`` when this is the runner's test loop, else ``'val'``: which hooks are called."""
        return 'test' if getattr(self.runner, '_test_loop', None) is self else 'val'

    @torch.no_grad()
    def run(self) -> dict[str, float]:
        """Runs the evaluation.

        Returns:
            The metrics; ``protocol`` then holds how they came about.

        Raises:
            BrokenVideosError: If videos cannot be decoded and ``skip_broken`` is off.
        """
        mode = self.mode
        self.runner.call_hook(f'before_{mode}')
        self.runner.call_hook(f'before_{mode}_epoch')
        with evaluating(self.runner.model):
            metrics = self.evaluate(self._encode(self._batches()))
            for name in self._choice_loaders:
                metrics.update(self._choose(name))
        self.runner.call_hook(f'after_{mode}_epoch', metrics=metrics)
        self.runner.call_hook(f'after_{mode}')
        return metrics

    @torch.no_grad()
    def encode(self) -> EncodedSplit:
        """Encodes every video and every text once, for :meth:`evaluate` and :meth:`sweep_rerank_k`.

        Returns:
            The split. What changes the encoders, such as the graph's threshold, needs a new one.

        Raises:
            BrokenVideosError: If videos cannot be decoded and ``skip_broken`` is off.
        """
        with evaluating(self.runner.model):
            return self._encode(self.dataloader)

    @torch.no_grad()
    def evaluate(self, split: EncodedSplit) -> dict[str, float]:
        """Evaluates an encoded split.

        Args:
            split: From :meth:`encode`, with the model as it is now.

        Returns:
            The metrics of the retrieval, without choices; ``protocol`` describes them.
        """
        scores = None
        if self.rerank_k:
            with evaluating(self.runner.model):
                scores = self._scorer.match_candidates(split, self.rerank_k)
            if self.calibrate:
                weight = scores.calibrate(self._scorer.fuse, split.gallery.relation)
                self.runner.message_hub.update_info(KEY, weight)
        return self._report(split, scores, self.rerank_k)

    @torch.no_grad()
    def sweep_rerank_k(self, split: EncodedSplit, values: Sequence[int]) -> dict[int, dict[str, float]]:
        """Evaluates an encoded split at several numbers of candidates; a pair is scored once.

        Args:
            split: From :meth:`encode`, with the model as it is now.
            values: Candidates a query; 0 is similarity alone.

        Returns:
            The metrics by number of candidates. No weight is calibrated.

        Raises:
            ValueError: If there is no value, one is negative, or the loop's ``score_fusion`` is ``'itc'``.
        """
        if not values or min(values) < 0:
            raise ValueError(f'rerank_k={list(values)}: at least one is needed, and each is at least 0.')
        if max(values) and self.fusion == 'itc':
            raise ValueError("score_fusion='itc' does not re-rank: nothing changes with rerank_k.")
        scores = None
        if max(values):
            with evaluating(self.runner.model):
                scores = self._scorer.match_candidates(split, max(values))
        return {k: self._report(split, scores.narrowed(k) if k else None, k) for k in values}

    @property
    def _scorer(self) -> Scorer:
        return Scorer(self.model, self.fusion, self.amp, self.skip_broken)

    def _encode(self, batches: Iterable[dict[str, Any]]) -> EncodedSplit:
        dataset = self.dataloader.dataset
        self._prepare_cache(dataset)
        return self._scorer.encode_split(dataset, batches, self.post_processors)

    def _report(self, split: EncodedSplit, scores: TwoStage | None, k: int) -> dict[str, float]:
        prefix = '' if scores is None else 'sim_'
        tables = [] if scores is None else scores.tables(self._scorer.fuse, self.weight)
        tables += similarity_tables(split.similarity, prefix)
        tables += [replace(table, name=prefix + table.name) for table in split.processed]
        self.evaluator.process(data_samples=tables, data_batch=split.gallery.relation)
        metrics = self.evaluator.evaluate(sum(split.similarity.shape))
        if scores is not None and self.fusion == 'calibrated':
            metrics['fusion_weight'] = self.weight
        self._describe(split, k)
        if split.gallery.num_broken:
            metrics.update({key: self.protocol[key] for key in ('skipped_videos', 'skipped_texts')})
        return metrics

    def _choose(self, name: str) -> dict[str, float]:
        loader = self._choice_loaders[name]
        self._prepare_cache(loader.dataset)
        weight = self.weight if self.rerank_k else None
        metrics, made = self._scorer.choose(name, loader.dataset, loader, weight)
        self.protocol['choices'] = {**self.protocol.get('choices', {}), name: made}
        return metrics

    @property
    def weight(self) -> float:
        """The weight of the calibrated fusion that is in force."""
        return stored_weight(self.runner) if self.fusion_weight is None else float(self.fusion_weight)

    def _batches(self) -> Iterator[dict[str, Any]]:
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

    @property
    def paper_row(self) -> PaperRow | None:
        """The row of the paper that the evaluator names, if it names one."""
        rows = [getattr(metric, 'paper_row', None) for metric in self.evaluator.metrics]
        return next((row for row in rows if row is not None), None)

    def _describe(self, split: EncodedSplit, k: int) -> None:
        metrics = [metric for metric in self.evaluator.metrics if isinstance(metric, RetrievalMetric)]
        fusion = self.fusion if k else 'itc'
        self.protocol = {
            'split': self.mode,
            'annotation': str(getattr(split.dataset, 'ann_file', type(split.dataset).__name__)),
            **split.counts(),
            'rerank_k': min(k, max(split.similarity.shape)),
            'score_fusion': fusion,
            'fusion_weight': self.weight if fusion == 'calibrated' else None,
            'ties': [metric.ties for metric in metrics],
            'v2t_gallery': [metric.v2t_gallery for metric in metrics],
            'post_processing': {processor.name: processor.note for processor in self.post_processors},
            'precision': str(self.amp or torch.float32).removeprefix('torch.'),
        }
