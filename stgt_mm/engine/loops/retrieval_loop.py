"""The loop that validates and tests retrieval: encode once, compare, re-rank, count."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from mmengine.evaluator import Evaluator
from mmengine.model import is_model_wrapper
from mmengine.runner import BaseLoop, Runner
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from stgt_mm.datasets.feature_warming import log_progress, prepare_feature_cache
from stgt_mm.engine.loops.fusion_weight import KEY, FusionWeightHook, stored_weight
from stgt_mm.evaluation.choice import choice_accuracy, choice_indices
from stgt_mm.evaluation.encode import (
    BrokenVideosError,
    TextBank,
    VideoBank,
    device_of,
    encode_texts,
    encode_videos,
    similarity_matrix,
)
from stgt_mm.evaluation.gallery import Gallery
from stgt_mm.evaluation.rerank import CandidatePairs, match_pairs
from stgt_mm.evaluation.retrieval_metric import RetrievalMetric
from stgt_mm.evaluation.two_stage import TwoStage, similarity_tables
from stgt_mm.functional.fusion import check_fusion, fuse_scores
from stgt_mm.registry import LOOPS


@LOOPS.register_module()
class RetrievalLoop(BaseLoop):
    """Retrieval in both directions with two-stage ranking; serves as ``val_cfg`` and as ``test_cfg``.

    ``t2v/*`` and ``v2t/*`` are the numbers of the chosen score fusion; with re-ranking, ``sim_t2v/*`` and
    ``sim_v2t/*`` stand beside them by similarity alone. Choices give ``<name>/accuracy`` and
    ``<name>/<kind>`` by similarity, and ``fused_<name>/*`` with re-ranking. Results do not change by a digit
    with the number of processes or the dataloader's batch size; they may, in the last digits, with the
    device, the number of threads, and the two batch sizes below.

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
        text_batch_size: Texts encoded at once.
        rerank_batch_size: Texts matched with a video at once.
        amp: ``'bfloat16'`` or ``'float16'`` runs the model under autocast; ``True`` means bfloat16.
        skip_broken: Leaves out videos that are missing or cannot be decoded and reports how many, instead of
            stopping: at the start for those that are missing.
        choices: Dataloader configs of ``ChoiceDataset`` by name.

    Raises:
        ValueError: If an option has an impossible value.
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
        text_batch_size: int = 256,
        rerank_batch_size: int = 128,
        amp: bool | str = False,
        skip_broken: bool = False,
        choices: dict[str, dict[str, Any]] | None = None,
    ) -> None:
        super().__init__(runner, _collecting_broken(dataloader, skip_broken))
        self.evaluator = evaluator if isinstance(evaluator, Evaluator) else runner.build_evaluator(evaluator)
        if rerank_k < 0 or text_batch_size < 1 or rerank_batch_size < 1:
            raise ValueError(
                f'rerank_k={rerank_k} must be at least 0, text_batch_size={text_batch_size} and '
                f'rerank_batch_size={rerank_batch_size} at least 1.'
            )
        if calibrate and (score_fusion != 'calibrated' or fusion_weight is not None or not rerank_k):
            raise ValueError(
                "calibrate=True chooses the weight of score_fusion='calibrated': it needs that fusion, "
                f'rerank_k > 0 and no fusion_weight, not {score_fusion!r}, {rerank_k} and {fusion_weight}.'
            )
        self.rerank_k = 0 if check_fusion(score_fusion) == 'itc' else rerank_k
        self.score_fusion = score_fusion if self.rerank_k else 'itc'
        self.fusion_weight = fusion_weight
        self.calibrate = calibrate
        self.text_batch_size = text_batch_size
        self.rerank_batch_size = rerank_batch_size
        self.amp = _autocast_dtype(amp)
        self.skip_broken = skip_broken
        # built now: a wrong path must show before any work
        self._choice_loaders: dict[str, DataLoader] = {
            name: Runner.build_dataloader(_collecting_broken(config, skip_broken), seed=runner.seed)
            for name, config in (choices or {}).items()
        }
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
        was_training = self.runner.model.training
        self.runner.model.eval()
        try:
            metrics = self._retrieve()
            for name in self._choice_loaders:
                metrics.update(self._choose(name))
        finally:
            self.runner.model.train(was_training)
        self.runner.call_hook(f'after_{mode}_epoch', metrics=metrics)
        self.runner.call_hook(f'after_{mode}')
        return metrics

    def _retrieve(self) -> dict[str, float]:
        dataset = self.dataloader.dataset
        self._prepare_cache(dataset)
        videos = encode_videos(self.model, self._batches(), len(dataset), self._context)
        self._stop_if_broken(dataset, videos)
        gallery = Gallery.of(dataset.text_to_videos, len(dataset), videos.broken)
        texts = self._encode_texts([dataset.texts[index] for index in gallery.texts])
        similarity = similarity_matrix(self.model, videos.queries[gallery.videos], texts.embeddings)
        metrics: dict[str, float] = {}
        tables = similarity_tables(similarity, 'sim_' if self.rerank_k else '')
        if self.rerank_k:
            tokens = gallery.renumber(videos.tokens)
            scores = TwoStage.of(similarity, self.rerank_k, lambda pairs: self._match(tokens, texts, pairs))
            if self.calibrate:
                self.runner.message_hub.update_info(KEY, scores.calibrate(self._fuse, gallery.relation))
            tables = scores.tables(self._fuse, self.weight) + tables
        self.evaluator.process(data_samples=tables, data_batch=gallery.relation)
        metrics = self.evaluator.evaluate(sum(similarity.shape))
        if self.score_fusion == 'calibrated':
            metrics['fusion_weight'] = self.weight
        if gallery.num_broken:
            metrics['skipped_videos'] = gallery.num_broken
            metrics['skipped_texts'] = len(dataset.texts) - len(gallery.texts)
        self._describe(dataset, videos, similarity)
        return metrics

    def _choose(self, name: str) -> dict[str, float]:
        loader = self._choice_loaders[name]
        self._prepare_cache(loader.dataset)
        videos = encode_videos(self.model, loader, len(loader.dataset), self._context)
        self._stop_if_broken(loader.dataset, videos)
        triples = [triple for triple in loader.dataset.triples if triple['video'] not in videos.broken]
        texts = self._encode_texts(loader.dataset.texts)
        video, text = choice_indices(triples)
        cosine = similarity_matrix(self.model, videos.queries, texts.embeddings)[video, text]
        kinds = [triple['kind'] for triple in triples]
        metrics = {f'{name}/{key}': value for key, value in choice_accuracy(cosine, kinds).items()}
        if self.rerank_k:
            pairs = CandidatePairs(video.expand_as(text).flatten(), text.flatten(), len(texts.mask))
            logits = self._match(videos.tokens, texts, pairs)[pairs.find(video, text)]
            fused = choice_accuracy(self._fuse(cosine, logits, self.weight), kinds)
            metrics.update({f'fused_{name}/{key}': value for key, value in fused.items()})
        if videos.broken:
            metrics[f'{name}/skipped'] = len(loader.dataset.triples) - len(triples)
        self.protocol['choices'] = {**self.protocol.get('choices', {}), name: len(triples)}
        return metrics

    @property
    def weight(self) -> float:
        """The weight of the calibrated fusion that is in force."""
        return stored_weight(self.runner) if self.fusion_weight is None else float(self.fusion_weight)

    def _fuse(self, cosine: Tensor, logits: Tensor, weight: float) -> Tensor:
        temperature = float(self.model.contrastive_head.temperature)
        return fuse_scores(cosine, logits, self.score_fusion, temperature, weight)

    def _encode_texts(self, texts: list[str]) -> TextBank:
        return encode_texts(self.model, texts, self.text_batch_size, self._context)

    def _match(self, tokens: dict[int, Tensor], texts: TextBank, pairs: CandidatePairs) -> Tensor:
        progress = log_progress('Re-ranking, videos done')
        return match_pairs(self.model, tokens, texts, pairs, self.rerank_batch_size, self._context, progress)

    def _context(self) -> AbstractContextManager:
        if self.amp is None:
            return nullcontext()
        return torch.autocast(device_of(self.model).type, dtype=self.amp)

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

    def _stop_if_broken(self, dataset: Dataset, videos: VideoBank) -> None:
        if videos.broken and (not self.skip_broken or len(videos.broken) == len(dataset)):
            reasons = {dataset.videos[index]['video']: why for index, why in videos.broken.items()}
            raise BrokenVideosError(reasons, len(dataset))

    def _describe(self, dataset: Dataset, videos: VideoBank, similarity: Tensor) -> None:
        metrics = [metric for metric in self.evaluator.metrics if isinstance(metric, RetrievalMetric)]
        self.protocol = {
            'split': self.mode,
            'annotation': str(getattr(dataset, 'ann_file', type(dataset).__name__)),
            'videos': similarity.shape[0],
            'texts': similarity.shape[1],
            'frames': videos.num_frames,
            'rerank_k': min(self.rerank_k, max(similarity.shape)),
            'score_fusion': self.score_fusion,
            'fusion_weight': self.weight if self.score_fusion == 'calibrated' else None,
            'ties': [metric.ties for metric in metrics],
            'v2t_gallery': [metric.v2t_gallery for metric in metrics],
            'skipped_videos': len(videos.broken),
        }


def _autocast_dtype(amp: bool | str) -> torch.dtype | None:
    names = {False: None, True: torch.bfloat16, 'bfloat16': torch.bfloat16, 'float16': torch.float16}
    if amp not in names:
        raise ValueError(f"amp={amp!r} is unknown. Use False, True, 'bfloat16' or 'float16'.")
    return names[amp]


def _collecting_broken(
    dataloader: DataLoader | dict[str, Any], skip_broken: bool
) -> DataLoader | dict[str, Any]:
    """Has the data set hand over broken clips as samples, so that all of them can be listed.

    Files that are not there at all stop it at once, unless they may be left out.
    """
    if isinstance(dataloader, DataLoader) or not isinstance(dataloader.get('dataset'), dict):
        return dataloader
    config = dataloader.copy()
    config['dataset'] = config['dataset'].copy()
    config['dataset'].setdefault('collect_broken', True)
    config['dataset'].setdefault('missing', 'keep' if skip_broken else 'error')
    return config
