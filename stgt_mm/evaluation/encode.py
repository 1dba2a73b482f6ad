"""First step of evaluation: every video and every text is encoded once, merged by id over all processes.

A float may change in its last bit with the shape of the batch it is computed in. So nothing here is computed
in a shape that depends on the dataloader's batch size or on the number of processes: a video goes through the
model in a block of fixed size, in the row that its index gives it, alone unless ``block`` says otherwise, and
texts in fixed blocks that are dealt out whole. Results are merged by adding arrays that are zero outside a
process's own entries, which is exact.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from mmengine.dist import all_gather_object, get_rank, get_world_size
from torch import Tensor, nn
from torch.utils.data import Dataset

from stgt_mm.errors import UserError
from stgt_mm.evaluation.shares import autocast, device_of, merge_disjoint, own_blocks
from stgt_mm.functional.ranking import Relation
from stgt_mm.progress import track_on_main

TEXT_BLOCK = 256


class BrokenVideosError(UserError):
    """Videos of an evaluation set that are missing or could not be decoded; ``reasons`` by path."""

    def __init__(self, reasons: dict[str, str], total: int) -> None:
        self.reasons = reasons
        lines = '\n'.join(f'  {path}: {why}' for path, why in reasons.items())
        super().__init__(
            f'{len(reasons)} of {total} evaluation videos cannot be read:\n{lines}\n'
            'Repair or download them again, or leave them out with skip_broken=True (tools/test.py '
            '--skip-broken): the result then says how many are missing.'
        )


@dataclass
class EncodedVideos:
    """V videos, on the CPU; the same on every process but for ``tokens``."""

    queries: Tensor  # embeddings, float32, (V, Q, P), zero where broken
    tokens: dict[int, Tensor]  # (1, M, C) by index: only the videos that this process owns
    broken: dict[int, str]  # why, by index in the data set, those that could not be read
    num_frames: int  # of a clip that the model was fed


@dataclass
class EncodedTexts:
    """K texts, on the CPU, the same on every process."""

    embeddings: Tensor  # float32, (K, P)
    ids: Tensor  # tokens, (K, L)
    mask: Tensor  # True at tokens, (K, L)


@dataclass
class EncodedSplit:
    """The part of a data set that can be evaluated, encoded; videos and texts have numbers of their own."""

    dataset: Dataset
    videos: EncodedVideos  # those that could be read
    texts: EncodedTexts  # those that have at least one of these videos
    relation: Relation  # texts (queries) to videos (items)
    lost_texts: list[int]  # indices into dataset.texts of those that lost all their videos


def encode_split(
    model: nn.Module,
    dataset: Dataset,
    batches: Iterable[dict[str, Any]],
    skip_broken: bool = False,
    amp: torch.dtype | None = None,
    block: int = 1,
) -> EncodedSplit:
    """Encodes a ``RetrievalDataset``; with ``skip_broken`` without the videos that cannot be read."""
    videos = encode_videos(model, dataset, batches, skip_broken, amp, block)
    left = [index for index in range(len(dataset)) if index not in videos.broken]
    place = {index: new for new, index in enumerate(left)}
    own = [[place[video] for video in own if video in place] for own in dataset.text_to_videos]
    texts = [text for text, items in zip(dataset.texts, own, strict=True) if items]
    videos.queries = videos.queries[left]
    videos.tokens = {place[index]: tokens for index, tokens in videos.tokens.items()}
    return EncodedSplit(
        dataset,
        videos,
        encode_texts(model, texts, amp),
        Relation.from_lists([items for items in own if items]),
        [index for index, items in enumerate(own) if not items],
    )


def encode_videos(
    model: nn.Module,
    dataset: Dataset,
    batches: Iterable[dict[str, Any]],
    skip_broken: bool = False,
    amp: torch.dtype | None = None,
    block: int = 1,
    what: str = 'encoding, videos',
) -> EncodedVideos:
    """Encodes each video of a data set once, from its collated batches, ``block`` neighbours at once.

    A sampler may hand the same video to two processes, or twice to one (padding): the process of lowest rank
    keeps it. Videos that cannot be read stop it, unless ``skip_broken``.
    """
    own: dict[int, tuple[Tensor, Tensor]] = {}
    broken: dict[int, str] = {}
    num_frames = 0
    share = math.ceil(len(dataset) / get_world_size())
    for index, found in track_on_main(_each_video(model, batches, amp, block), what, share):
        if isinstance(found, str):
            broken[index] = found
        else:
            queries, tokens, num_frames = found
            own[index] = (queries, tokens)
    shapes = [queries.shape[1:] for queries, _ in own.values()]
    gathered = all_gather_object((sorted(own), broken, num_frames, shapes[:1]))
    broken = dict(sorted((index, why) for _, part, _, _ in gathered for index, why in part.items()))
    ranks = reversed(range(len(gathered)))  # the lowest rank comes last and stays
    owner = {index: rank for rank in ranks for index in gathered[rank][0]}
    if missing := set(range(len(dataset))) - set(owner) - set(broken):
        raise RuntimeError(
            f'the dataloader left out {len(missing)} of {len(dataset)} videos, the first is number '
            f'{min(missing)}: evaluation needs drop_last=False and a sampler that visits all.'
        )
    if broken and (not skip_broken or len(broken) == len(dataset)):
        reasons = {dataset.videos[index]['video']: why for index, why in broken.items()}
        raise BrokenVideosError(reasons, len(dataset))
    # a process without a video of its own learns the shape from the others
    queries = torch.zeros(len(dataset), *next(shape for part in gathered for shape in part[3]))
    tokens = {index: tokens for index, (_, tokens) in own.items() if owner[index] == get_rank()}
    for index in tokens:
        queries[index] = own[index][0][0]
    return EncodedVideos(merge_disjoint(queries), tokens, broken, max(part[2] for part in gathered))


def _each_video(
    model: nn.Module, batches: Iterable[dict[str, Any]], amp: torch.dtype | None, block: int
) -> Iterator[tuple[int, tuple[Tensor, Tensor, int] | str]]:
    """Yields index and (queries, tokens, frames) or the reason why it is broken, each video once.

    A block is encoded when it is whole, or a clip of another one comes: what a process was not given stays
    zero, so that any sampler gives the same digits; one that deals out whole blocks makes the fewest calls.
    """
    seen: set[int] = set()
    waiting: dict[int, Tensor] = {}  # clips of one block by index
    for batch in batches:
        for sample in batch.get('broken') or []:
            if int(sample.sample_idx) not in seen:
                seen.add(int(sample.sample_idx))
                yield int(sample.sample_idx), sample.broken
        samples = batch['data_samples']
        if all(int(sample.sample_idx) in seen for sample in samples):
            continue
        readable = {'inputs': batch['inputs'], 'data_samples': samples}
        inputs = model.data_preprocessor(readable, False)['inputs']
        kind = 'video' if 'video' in inputs else 'tokens'
        for clip, sample in zip(inputs[kind], samples, strict=True):
            index = int(sample.sample_idx)
            if index in seen:
                continue
            seen.add(index)
            if waiting and next(iter(waiting)) // block != index // block:
                yield from _encode_block(model, kind, waiting, amp, block)
            waiting[index] = clip
            if len(waiting) == block:
                yield from _encode_block(model, kind, waiting, amp, block)
    if waiting:
        yield from _encode_block(model, kind, waiting, amp, block)


def _encode_block(
    model: nn.Module, kind: str, waiting: dict[int, Tensor], amp: torch.dtype | None, block: int
) -> Iterator[tuple[int, tuple[Tensor, Tensor, int]]]:
    """Encodes the clips of one block and takes them out of ``waiting``."""
    shapes = {tuple(clip.shape) for clip in waiting.values()}
    if len(shapes) > 1:
        raise ValueError(
            f'encode_block={block}: videos {sorted(waiting)} give clips of the shapes {sorted(shapes)}, and '
            'those of a block need one. Set encode_block=1.'
        )
    # Fresh memory has the same alignment, whatever the row of a batch: vector kernels look at it.
    clips = next(iter(waiting.values())).new_zeros(block, *shapes.pop())
    for index, clip in waiting.items():
        clips[index % block] = clip
    with autocast(model, amp):
        features = model.encode_video({kind: clips})
    queries, tokens = features.queries.float().cpu().split(1), features.tokens.cpu().split(1)
    while waiting:
        index, clip = waiting.popitem()
        yield index, (queries[index % block], tokens[index % block], len(clip))


def encode_texts(model: nn.Module, texts: list[str], amp: torch.dtype | None = None) -> EncodedTexts:
    """Encodes each text once, in blocks of fixed size dealt out to the processes."""
    ids, mask = (value.cpu() for value in model.data_preprocessor.tokenize(texts))
    parts: dict[int, Tensor] = {}
    for start, stop in own_blocks(len(texts), TEXT_BLOCK):
        with autocast(model, amp):
            tokens = trimmed(ids[start:stop], mask[start:stop], device_of(model))
            parts[start] = model.encode_text(*tokens).float().cpu()
    # With fewer blocks than processes some do not know the width.
    width = max(all_gather_object(max((part.shape[1] for part in parts.values()), default=0)))
    merged = torch.zeros(len(texts), width)
    for start, embeddings in parts.items():
        merged[start : start + len(embeddings)] = embeddings
    return EncodedTexts(merge_disjoint(merged), ids, mask)


def trimmed(ids: Tensor, mask: Tensor, device: torch.device) -> tuple[Tensor, Tensor]:
    """Cuts ids and mask (..., L) to the longest of the texts, on the device."""
    length = int(mask.flatten(0, -2).any(dim=0).nonzero().max()) + 1
    return ids[..., :length].to(device), mask[..., :length].to(device)
