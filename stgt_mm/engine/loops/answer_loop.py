"""The loop that validates and tests question answering: every question is answered, the metrics judge."""

from typing import Any

import torch
from mmengine.dist import all_gather_object

from stgt_mm.engine.loops.evaluation_loop import EvaluationLoop
from stgt_mm.evaluation.encode import BrokenVideosError
from stgt_mm.evaluation.shares import autocast
from stgt_mm.progress import track_on_main
from stgt_mm.registry import LOOPS
from stgt_mm.structures import VideoTextSample
from stgt_mm.utils import evaluating


@LOOPS.register_module()
class AnswerLoop(EvaluationLoop):
    """Question answering over a ``VideoQADataset``; serves as ``val_cfg`` and as ``test_cfg``.

    The model's ``predict`` writes ``prediction`` and ``score`` into the samples, and its ``protocol`` (mode,
    prompt and so on), where it has one, becomes part of the loop's. A subclass may ask for something else,
    ``items``, in a ``predict`` of its own. For the arguments see
    :class:`~stgt_mm.engine.loops.evaluation_loop.EvaluationLoop`.

    Raises:
        ValueError: If the data set would replace broken clips by others, or the data loader leaves questions
            out.
        BrokenVideosError: If clips are missing or cannot be read, and ``skip_broken`` is off, or all are.
    """

    items = 'questions'

    def predict(self, inputs: dict[str, Any], data_samples: list[VideoTextSample]) -> list[VideoTextSample]:
        """Has the model answer a prepared batch."""
        return self.model.predict(inputs, data_samples)

    @property
    def asked(self) -> dict[str, Any]:
        """How the model was asked, for ``protocol``."""
        return getattr(self.model, 'protocol', {})

    @torch.no_grad()
    def run(self) -> dict[str, float]:
        """Answers every question and returns the metrics; ``protocol`` then holds how they came about."""
        if not getattr(self.dataloader.dataset, 'collect_broken', True):
            raise ValueError(
                'the data set puts another clip in the place of a broken one, which training does: set '
                f'collect_broken=True of the {type(self.dataloader.dataset).__name__}.'
            )
        mode = self.mode
        self.runner.call_hook(f'before_{mode}')
        self.runner.call_hook(f'before_{mode}_epoch')
        self._prepare_cache(self.dataloader.dataset)
        with evaluating(self.runner.model):
            metrics = self._answer()
        self.runner.call_hook(f'after_{mode}_epoch', metrics=metrics)
        self.runner.call_hook(f'after_{mode}')
        return metrics

    def _answer(self) -> dict[str, float]:
        model, answered, frames = self.model, 0, 0
        # of each item: id and file of its video, and why it is broken, '' if it is not
        seen: dict[int, tuple[str, str, str]] = {}
        for batch in track_on_main(self._batches(), f'{self.items}, batches', len(self.dataloader)):
            samples = batch['data_samples']
            for sample in (*samples, *batch.get('broken', ())):
                seen[int(sample.sample_idx)] = (sample.video_id, sample.video, sample.get('broken', ''))
            if not samples:
                continue
            readable = {'inputs': batch['inputs'], 'data_samples': samples}
            frames = int(batch['inputs'].shape[1])
            with autocast(model, self.amp):
                samples = self.predict(**model.data_preprocessor(readable, False))
            self.evaluator.process(samples, batch)
            answered += len(samples)
        # all processes know all, so that all stop alike and none waits
        parts = all_gather_object((seen, answered, frames))
        seen = {index: found for part in parts for index, found in part[0].items()}
        self._check(seen)
        metrics = self.evaluator.evaluate(sum(part[1] for part in parts))
        lost = sorted(video_id for video_id, _, why in seen.values() if why)
        skipped = {f'skipped_{self.items}': len(lost), 'skipped_videos': len(set(lost))}
        self.protocol = {
            'split': self.mode,
            'annotation': str(self.dataloader.dataset.ann_file),
            'videos': len({found[0] for found in seen.values()} - set(lost)),
            self.items: len(seen) - len(lost),
            'frames': max(part[2] for part in parts),
            **skipped,
            **self.asked,
            'normalisation': [m.normalisation for m in self.evaluator.metrics if hasattr(m, 'normalisation')],
            'precision': str(self.amp or torch.float32).removeprefix('torch.'),
        }
        if lost:
            metrics.update(skipped)
            self.protocol['skipped_video_ids'] = sorted(set(lost))
        return metrics

    def _check(self, seen: dict[int, tuple[str, str, str]]) -> None:
        """Stops if an item was left out, or clips are broken and may not be skipped."""
        total = len(self.dataloader.dataset)
        if missing := set(range(total)) - seen.keys():
            raise ValueError(
                f'the dataloader left out {len(missing)} of {total} {self.items}, the first is number '
                f'{min(missing)}: evaluation needs drop_last=False and a sampler that visits all.'
            )
        videos = {video: why for _, video, why in seen.values()}
        broken = {video: why for video, why in videos.items() if why}
        if broken and (not self.skip_broken or len(broken) == len(videos)):
            raise BrokenVideosError(broken, len(videos))
