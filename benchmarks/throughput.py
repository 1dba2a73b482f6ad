"""Videos a second from decode to scores, part by part."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from timing import Stopwatch
from torch import Tensor, nn

from stgt_mm.datasets import video_text_collate


@dataclass
class Throughput:
    """Medians over batches, of parts that were run one after another.

    Attributes:
        wall: Part -> seconds a video of the wall clock.
        cpu: Part -> seconds a video of CPU time over all threads.
        captions: Seconds that encoding all captions once took; not in the others.
        candidates: Captions that were matched with each video.
        logits: Of the last batch, shape (B, k, 2).
    """

    wall: dict[str, float]
    cpu: dict[str, float]
    captions: float
    candidates: int
    logits: Tensor


@torch.inference_mode()
def measure_throughput(
    model: nn.Module,
    dataset: Any,
    texts: Sequence[str],
    candidates: int,
    batch_size: int = 1,
    warm_up: int = 1,
    dtype: torch.dtype | None = None,
) -> Throughput:
    """Scores every clip of a data set against its best captions.

    Args:
        model: A ``VideoTextAligner`` in eval mode.
        dataset: Its samples are clips.
        texts: The captions that are searched.
        candidates: Captions of a video that the matching head scores; at most all.
        batch_size: Clips at once; a rest is left out.
        warm_up: Batches that are run and not counted.
        dtype: Type of autocast, None for full precision.

    Returns:
        What it took.

    Raises:
        ValueError: If there are no batches left to count.
    """
    batches = len(dataset) // batch_size
    if batches <= warm_up:
        raise ValueError(
            f'{len(dataset)} videos are {batches} batches of {batch_size}, of which {warm_up} warm up: '
            'none is left to measure.'
        )
    device = next(model.parameters()).device
    context: AbstractContextManager[Any] = nullcontext()
    if dtype is not None:
        context = torch.autocast(device.type, dtype=dtype)
    watch = Stopwatch(device)
    with context:
        with watch.part('captions'):
            ids, mask = model.data_preprocessor.tokenize(list(texts))
            embeddings = model.encode_text(ids, mask)
        captions = watch.totals()['captions']
        watch.drop_rounds()
        for batch in range(batches):
            if batch == warm_up:
                watch.drop_rounds()
            chosen = range(batch * batch_size, (batch + 1) * batch_size)
            logits = _score(model, dataset, chosen, (ids, mask, embeddings), candidates, watch)
            watch.new_round()
    wall, cpu = (
        {part: seconds / batch_size for part, seconds in watch.medians(clock).items()}
        for clock in ('wall', 'cpu')
    )
    return Throughput(wall, cpu, captions, logits.shape[1], logits.float().cpu())


def _score(
    model: nn.Module,
    dataset: Any,
    chosen: Sequence[int],
    texts: tuple[Tensor, Tensor, Tensor],
    candidates: int,
    watch: Stopwatch,
) -> Tensor:
    ids, mask, embeddings = texts
    with watch.part('decode'):
        batch = video_text_collate([dataset[index] for index in chosen])
    with watch.part('prepare'):
        video = model.data_preprocessor({**batch, 'data_samples': []})['inputs']['video']
    with watch.part('backbone'):
        tokens = model.backbone(video)
    with watch.part('neck'):
        tokens = tokens.flatten(1, 2) if model.neck is None else model.neck(tokens)
        tokens = model.vision_norm(tokens)
    with watch.part('Q-Former'):
        keys_values = model.qformer.project_video(tokens)
        queries, _ = model.qformer.encode_video(keys_values)
        queries = model.contrastive_head.project_queries(queries)
    with watch.part('re-rank'):
        similarity = model.similarity(queries, embeddings)
        best = similarity.topk(min(candidates, len(embeddings)), dim=1).indices
        return model.matching_head(model.qformer.fuse(keys_values, ids[best], mask[best]))
