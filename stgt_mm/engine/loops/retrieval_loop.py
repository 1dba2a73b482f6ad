"""The loop that validates and tests retrieval: encode, rank, report."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from mmengine.evaluator import Evaluator
from mmengine.runner import Runner
from torch import Tensor
from torch.utils.data import DataLoader

from stgt_mm.engine.loops.evaluation_loop import EvaluationLoop
from stgt_mm.engine.loops.retrieval_options import (
    FUSION_WEIGHT,
    FusionWeightHook,
    collecting_broken,
    deal_out_blocks,
    stop_if_missing,
)
from stgt_mm.evaluation.caption_choice import caption_choice
from stgt_mm.evaluation.encode import EncodedSplit, encode_split
from stgt_mm.evaluation.match import match_candidates
from stgt_mm.evaluation.post_processing import PostProcessor, bank_statistics
from stgt_mm.evaluation.rank import (
    Ranking,
    calibrated_weight,
    count_rankings,
    fused_rankings,
    similarity_rankings,
)
from stgt_mm.evaluation.retrieval_metric import RetrievalMetric
from stgt_mm.evaluation.similarity import similarity_matrix
from stgt_mm.functional.fusion import DEFAULT_WEIGHT, check_fusion, fuse_scores
from stgt_mm.registry import LOOPS, POST_PROCESSORS
from stgt_mm.utils import evaluating


@LOOPS.register_module()
class RetrievalLoop(EvaluationLoop):
    """Retrieval in both directions with two-stage ranking; serves as ``val_cfg`` and as ``test_cfg``.

    ``t2v/*`` and ``v2t/*`` are the numbers of the chosen score fusion; with re-ranking, ``sim_t2v/*`` and
    ``sim_v2t/*`` stand beside them by similarity alone. Caption choices give ``<name>/accuracy`` and
    ``<name>/<kind>`` by similarity, and ``fused_<name>/*`` with re-ranking. Results do not change by a digit
    with the number of processes or the dataloader's batch size; they may, in the last digits, with the
    device and the number of threads.

    The metrics of the evaluator are handed the queries as data samples, see
    :func:`~stgt_mm.evaluation.rank.query_batches`, each process its share, and no data batch.

    Source: BLIP-2's two-stage retrieval, k = 32 in the STGT release.

    Args:
        runner: The runner.
        dataloader: Config or DataLoader of a ``RetrievalDataset``.
        evaluator: Config or Evaluator, as a rule with a ``RetrievalMetric``.
        rerank_k: Candidates a query that the matching head re-ranks; 0 turns re-ranking off.
        score_fusion: ``'itc'`` (no re-ranking), ``'itm'``, ``'itm+itc'`` or ``'calibrated'``, see
            :func:`~stgt_mm.functional.fusion.fuse_scores`.
        fusion_weight: Weight of the margin in ``'calibrated'``. ``None``: the calibrated one of the
            checkpoint, else 0.5.
        calibrate: Chooses the weight on this split and keeps it in checkpoints. For a validation split.
        post_processors: Configs of post-processors, ``DSL`` or ``QBNorm``, whose numbers are reported beside
            the others: ``t2v_dsl/*``, with re-ranking ``sim_t2v_dsl/*``.
        amp: ``'bfloat16'`` or ``'float16'`` runs the model under autocast; ``True`` means bfloat16.
        skip_broken: Leaves out videos that are missing or cannot be decoded and reports how many, instead of
            stopping: at the start for those that are missing.
        choices: Dataloader configs of ``CaptionChoiceDataset`` by name.
        encode_block: Videos that are encoded, and re-ranked, at once: those of neighbouring indices. More
            than 1 fills a GPU; it changes the last digits, and they depend on nothing else.

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
        encode_block: int = 1,
    ) -> None:
        super().__init__(runner, dataloader, evaluator, amp, skip_broken)
        if rerank_k < 0:
            raise ValueError(f'rerank_k={rerank_k} must be at least 0.')
        if encode_block < 1:
            raise ValueError(f'encode_block={encode_block} must be at least 1.')
        if calibrate and (score_fusion != 'calibrated' or fusion_weight is not None or not rerank_k):
            raise ValueError(
                "calibrate=True chooses the weight of score_fusion='calibrated': it needs that fusion, "
                f'rerank_k > 0 and no fusion_weight, not {score_fusion!r}, {rerank_k} and {fusion_weight}.'
            )
        self.fusion = check_fusion(score_fusion)
        self.rerank_k = 0 if self.fusion == 'itc' else rerank_k
        self._check_rerank(self.rerank_k)
        self.fusion_weight = fusion_weight
        self.calibrate = calibrate
        self.post_processors: list[PostProcessor] = [POST_PROCESSORS.build(own) for own in post_processors]
        # built now: a wrong path must show before any work
        self._choice_loaders: dict[str, DataLoader] = {
            name: Runner.build_dataloader(collecting_broken(config), seed=runner.seed)
            for name, config in (choices or {}).items()
        }
        self.encode_block = encode_block
        for loader in (self.dataloader, *self._choice_loaders.values()):
            deal_out_blocks(loader, encode_block)
        if not skip_broken:
            for loader in self._choice_loaders.values():
                stop_if_missing(loader)
        if not any(isinstance(hook, FusionWeightHook) for hook in runner.hooks):
            runner.register_hook(FusionWeightHook())

    @property
    def weight(self) -> float:
        """The weight of the calibrated fusion: the option's, else the checkpoint's, else the default."""
        stored = self.runner.message_hub.get_info(FUSION_WEIGHT, DEFAULT_WEIGHT)
        return float(stored if self.fusion_weight is None else self.fusion_weight)

    @property
    def fuse(self) -> Callable[..., Tensor]:
        """The chosen fusion as a function of cosines (...) and matching logits (..., 2)."""
        temperature = float(self.model.contrastive_head.temperature)
        return partial(fuse_scores, fusion=self.fusion, temperature=temperature, weight=self.weight)

    @torch.no_grad()
    def run(self) -> dict[str, float]:
        """Runs the evaluation and returns the metrics; ``protocol`` then holds how they came about."""
        mode = self.mode
        self.runner.call_hook(f'before_{mode}')
        self.runner.call_hook(f'before_{mode}_epoch')
        metrics = self.evaluate(self.encode(hooks=True))
        fuse = self.fuse if self.rerank_k else None
        with evaluating(self.runner.model):
            for name, loader in self._choice_loaders.items():
                self._prepare_cache(loader.dataset)
                numbers, count = caption_choice(
                    self.model,
                    name,
                    loader.dataset,
                    loader,
                    fuse,
                    self.skip_broken,
                    self.amp,
                    self.encode_block,
                )
                metrics.update(numbers)
                self.protocol.setdefault('choices', {})[name] = count
        self.runner.call_hook(f'after_{mode}_epoch', metrics=metrics)
        self.runner.call_hook(f'after_{mode}')
        return metrics

    @torch.no_grad()
    def encode(self, hooks: bool = False) -> EncodedSplit:
        """Encodes every video and every text once, for :meth:`evaluate` and :meth:`sweep_rerank_k`.

        What changes the encoders, such as the graph's threshold, needs a new split.
        """
        self._prepare_cache(self.dataloader.dataset)
        batches = self._batches() if hooks else self.dataloader
        with evaluating(self.runner.model):
            return encode_split(
                self.model, self.dataloader.dataset, batches, self.skip_broken, self.amp, self.encode_block
            )

    def evaluate(self, split: EncodedSplit) -> dict[str, float]:
        """Evaluates an encoded split, without caption choices; ``protocol`` describes the metrics."""
        return self._evaluate(split, [self.rerank_k], self.calibrate)[self.rerank_k]

    def sweep_rerank_k(self, split: EncodedSplit, values: Sequence[int]) -> dict[int, dict[str, float]]:
        """Evaluates an encoded split at several numbers of candidates; a pair is scored once.

        Returns the metrics by number of candidates, 0 being similarity alone. No weight is calibrated.
        """
        if not values or min(values) < 0:
            raise ValueError(f'rerank_k={list(values)}: at least one is needed, and each is at least 0.')
        if max(values) and self.fusion == 'itc':
            raise ValueError("score_fusion='itc' does not re-rank: nothing changes with rerank_k.")
        return self._evaluate(split, values)

    def _evaluate(
        self, split: EncodedSplit, values: Sequence[int], calibrate: bool = False
    ) -> dict[int, dict[str, float]]:
        found = {}
        for k, rankings in self.rank(split, values, calibrate).items():
            found[k] = count_rankings(self.evaluator, rankings)
            self.protocol = self._protocol(split, k)
            told = ['fusion_weight'] if self.protocol['fusion_weight'] is not None else []
            told += ['skipped_videos', 'skipped_texts'] if split.videos.broken else []
            found[k].update({name: self.protocol[name] for name in told})
        return found

    @torch.no_grad()
    def rank(
        self, split: EncodedSplit, values: Sequence[int], calibrate: bool = False
    ) -> dict[int, list[Ranking]]:
        """Ranks an encoded split with each number of candidates, the same on every process.

        With ``calibrate`` the weight is chosen on the way, and kept for checkpoints.
        """
        most = max(values)
        self._check_rerank(most)
        with evaluating(self.runner.model):
            similarity = similarity_matrix(self.model, split.videos.queries, split.texts.embeddings)
            options = (most, self.amp, self.encode_block)
            best = match_candidates(self.model, split, similarity, *options) if most else None
            both = similarity_rankings(similarity, split.relation)
            score_bank = partial(bank_statistics, self.model, split.videos.queries, amp=self.amp)
            made = [
                own.apply(ranking, score_bank=score_bank) for own in self.post_processors for ranking in both
            ]
        plain = both + [ranking for ranking in made if ranking is not None]
        if best is None:  # such a model needs no temperature
            return dict.fromkeys(values, plain)
        if calibrate:
            self.runner.message_hub.update_info(FUSION_WEIGHT, calibrated_weight(both, best, self.fuse))
        fused = self.fuse(best.cosine, best.logits)
        beside = [replace(ranking, name=f'sim_{ranking.name}') for ranking in plain]
        return {k: fused_rankings(both, best, fused, k) + beside if k else plain for k in values}

    def _check_rerank(self, k: int) -> None:
        if k and getattr(self.model, 'matching_head', k) is None:
            raise ValueError(
                f'rerank_k={k}: {type(self.model).__name__} has no matching head and does not re-rank. '
                "Set rerank_k=0 (or score_fusion='itc') for val_cfg and test_cfg."
            )

    def _protocol(self, split: EncodedSplit, k: int) -> dict[str, Any]:
        """Says how a split was measured with k candidates."""
        dataset, broken, lost = split.dataset, split.videos.broken, split.lost_texts
        counted = [metric for metric in self.evaluator.metrics if isinstance(metric, RetrievalMetric)]
        skipped: dict[str, Any] = {'skipped_videos': len(broken), 'skipped_texts': len(lost)}
        if broken:
            skipped['skipped_video_ids'] = [dataset.videos[index]['video_id'] for index in broken]
            skipped['skipped_text_ids'] = [dataset.text_ids[index] for index in lost]
        videos, texts = len(split.videos.queries), len(split.texts.ids)
        return {
            'split': self.mode,
            'annotation': str(getattr(dataset, 'ann_file', type(dataset).__name__)),
            'videos': videos,
            'texts': texts,
            'frames': split.videos.num_frames,
            **skipped,
            'rerank_k': min(k, max(videos, texts)),
            'score_fusion': self.fusion if k else 'itc',
            'fusion_weight': self.weight if k and self.fusion == 'calibrated' else None,
            'ties': [metric.ties for metric in counted],
            'v2t_gallery': [metric.v2t_gallery for metric in counted],
            'post_processing': {processor.name: processor.note for processor in self.post_processors},
            'encode_block': self.encode_block,
            'precision': str(self.amp or torch.float32).removeprefix('torch.'),
        }
