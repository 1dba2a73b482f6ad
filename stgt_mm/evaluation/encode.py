"""Encoding for retrieval: every video once, every text once, merged by id over all processes.

A float may change in its last bit with the shape of the batch it is computed in. So nothing here is computed
in a shape that hangs on the dataloader's batch size or on the number of processes: videos go through the
model one at a time, texts and similarities in fixed blocks that are dealt out whole. Results are merged by
adding arrays that are zero outside a process's own entries, which is exact.
"""

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from mmengine.dist import all_gather_object, all_reduce, get_rank, get_world_size
from torch import Tensor, nn

from stgt_mm.errors import UserError

VIDEO_BLOCK = 64
TEXT_BLOCK = 256
SIMILARITY_BLOCK = 512

Context = Callable[[], AbstractContextManager]


class BrokenVideosError(UserError):
    """Videos of an evaluation set that are missing or could not be decoded; the message lists them all.

    Args:
        reasons: Why, by the path of each video.
        total: Number of videos in the set.
    """

    def __init__(self, reasons: dict[str, str], total: int) -> None:
        self.reasons = reasons
        lines = '\n'.join(f'  {path}: {why}' for path, why in reasons.items())
        super().__init__(
            f'{len(reasons)} of {total} evaluation videos cannot be read:\n{lines}\n'
            'Mend or download them again, or leave them out with skip_broken=True (tools/test.py '
            '--skip-broken): the result then says how many are missing.'
        )


@dataclass
class VideoBank:
    """What is kept of the videos of a set.

    Attributes:
        queries: Query embeddings of all videos on every process, float32 on the CPU, shape (V, Q, P).
        tokens: Video tokens by index, on the CPU, each (1, M, C): only the videos that this process owns.
        broken: Reasons by index of the videos that could not be decoded, the same on every process.
        num_frames: Frames a clip that the model was fed.
    """

    queries: Tensor
    tokens: dict[int, Tensor]
    broken: dict[int, str]
    num_frames: int


@dataclass
class TextBank:
    """What is kept of the texts of a set, the same on every process, on the CPU.

    Attributes:
        embeddings: float32, shape (K, P).
        ids: Token ids, shape (K, L).
        mask: True at tokens, shape (K, L).
    """

    embeddings: Tensor
    ids: Tensor
    mask: Tensor

    def tokens(self, index: Tensor, device: torch.device) -> tuple[Tensor, Tensor]:
        """Takes some texts, padded to the longest of them.

        Args:
            index: Indices of n texts.
            device: Where to put them.

        Returns:
            Ids and mask, each of shape (n, L') with L' the longest of the n.
        """
        mask = self.mask[index]
        length = int(mask.any(dim=0).nonzero().max()) + 1
        return self.ids[index, :length].to(device), mask[:, :length].to(device)


def device_of(model: nn.Module) -> torch.device:
    """Returns the device of the model's parameters."""
    return next(model.parameters()).device


def merge_disjoint(values: Tensor) -> Tensor:
    """Merges an array of which every process has filled its own entries and left the others zero.

    Args:
        values: Any shape, the same on every process.

    Returns:
        The complete array, on every process; exact, because x + 0 is.
    """
    all_reduce(values, op='sum')
    return values


def checked(values: Tensor, what: str) -> Tensor:
    """Refuses NaN, on every process alike, so that none is left waiting for another.

    Args:
        values: Any shape, the same on every process.
        what: What the values are.

    Returns:
        The values.

    Raises:
        ValueError: If there is a NaN; the message says how many.
    """
    bad = int(values.isnan().sum())
    if bad:
        raise ValueError(
            f'{bad} of {values.numel()} {what} are NaN: the model gave no number. Evaluate without autocast '
            'to tell an overflow from a checkpoint that went bad in training.'
        )
    return values


def encode_videos(
    model: nn.Module,
    batches: Iterable[dict[str, Any]],
    num_videos: int,
    context: Context = nullcontext,
    progress: Callable[[int, int], None] | None = None,
) -> VideoBank:
    """Encodes each video once.

    A sampler may hand the same video to two processes, or twice to one (padding): the process of lowest rank
    keeps it.

    Args:
        model: Has ``data_preprocessor`` and ``encode_video``.
        batches: Collated batches: ``inputs``, ``data_samples`` with ``sample_idx``, and, where files were
            broken, ``broken``: samples with ``sample_idx`` and ``broken`` (the reason).
        num_videos: V.
        context: Makes the context that the model runs in (autocast).
        progress: Called with videos done and videos in all of this process.

    Returns:
        The bank. Rows of ``queries`` whose video is broken are zero.

    Raises:
        RuntimeError: If the batches left out a video.
    """
    own: dict[int, tuple[Tensor, Tensor]] = {}
    broken: dict[int, str] = {}
    num_frames = 0
    share = math.ceil(num_videos / get_world_size())
    for batch in batches:
        broken.update({int(sample.sample_idx): sample.broken for sample in batch.get('broken') or []})
        samples = batch['data_samples']
        new = [row for row, sample in enumerate(samples) if int(sample.sample_idx) not in own]
        if not new:
            continue
        num_frames = int(batch['inputs'].shape[1])
        batch = {'inputs': batch['inputs'], 'data_samples': samples}
        inputs = model.data_preprocessor(batch, False)['inputs']
        for row in new:
            # A clone has the alignment of fresh memory, whatever the row: vector kernels look at it.
            clip = {key: inputs[key][row : row + 1].clone() for key in ('video', 'tokens') if key in inputs}
            with context():
                features = model.encode_video(clip)
            own[int(samples[row].sample_idx)] = (features.queries.float().cpu(), features.tokens.cpu())
            if progress is not None:
                progress(min(len(own) + len(broken), share), share)
    return _merge_videos(own, broken, num_videos, num_frames)


def _merge_videos(
    own: dict[int, tuple[Tensor, Tensor]], broken: dict[int, str], num_videos: int, num_frames: int
) -> VideoBank:
    shape = [queries.shape[1:] for queries, _ in own.values()][:1]
    gathered = all_gather_object((sorted(own), broken, num_frames, shape))
    all_broken = {index: why for _, part, _, _ in gathered for index, why in part.items()}
    owner: dict[int, int] = {}
    for rank, (indices, _, _, _) in enumerate(gathered):
        for index in indices:
            owner.setdefault(index, rank)
    missing = set(range(num_videos)) - set(owner) - set(all_broken)
    if missing:
        raise RuntimeError(
            f'the dataloader left out {len(missing)} of {num_videos} videos, the first is number '
            f'{min(missing)}: evaluation needs drop_last=False and a sampler that visits all.'
        )
    shapes = [shape for _, _, _, some in gathered for shape in some]
    queries = torch.zeros(num_videos, *(shapes[0] if shapes else (1, 1)))
    tokens = {index: value for index, (_, value) in own.items() if owner[index] == get_rank()}
    for index in tokens:
        queries[index] = own[index][0][0]
    frames = max(part[2] for part in gathered)
    return VideoBank(merge_disjoint(queries), tokens, dict(sorted(all_broken.items())), frames)


def encode_texts(model: nn.Module, texts: list[str], context: Context = nullcontext) -> TextBank:
    """Encodes each text once, in blocks of fixed size dealt out to the processes.

    Args:
        model: Has ``data_preprocessor.tokenize`` and ``encode_text``.
        texts: K texts.
        context: Makes the context that the model runs in (autocast).

    Returns:
        The bank.
    """
    ids, mask = (value.cpu() for value in model.data_preprocessor.tokenize(texts))
    bank = TextBank(torch.zeros(len(texts), 0), ids, mask)
    parts: dict[int, Tensor] = {}
    for start, stop in own_blocks(len(texts), TEXT_BLOCK):
        with context():
            tokens = bank.tokens(torch.arange(start, stop), device_of(model))
            parts[start] = model.encode_text(*tokens).float().cpu()
    # With fewer blocks than processes some do not know the width.
    width = max(all_gather_object(max((part.shape[1] for part in parts.values()), default=0)))
    merged = torch.zeros(len(texts), width)
    for start, embeddings in parts.items():
        merged[start : start + len(embeddings)] = embeddings
    bank.embeddings = merge_disjoint(merged)
    return bank


def own_blocks(total: int, size: int) -> Iterator[tuple[int, int]]:
    """Deals out blocks of fixed size to the processes.

    Args:
        total: Number of entries.
        size: Entries of a block; the last one may be smaller.

    Yields:
        Pairs (start, stop) of this process.
    """
    for number, start in enumerate(range(0, total, size)):
        if number % get_world_size() == get_rank():
            yield start, min(start + size, total)


def similarity_matrix(model: nn.Module, queries: Tensor, texts: Tensor) -> Tensor:
    """Scores every video against every text, in fixed blocks dealt out to the processes.

    Args:
        model: Has ``similarity``.
        queries: Query embeddings, shape (V, Q, P).
        texts: Text embeddings, shape (K, P).

    Returns:
        Cosine similarity, float32 on the CPU of every process, shape (V, K): 4 V K bytes.
    """
    result = torch.zeros(len(queries), len(texts))
    for start, stop in own_blocks(len(texts), SIMILARITY_BLOCK):
        result[:, start:stop] = similarity_block(model, queries, texts[start:stop])
    return checked(merge_disjoint(result), 'similarities')


def similarity_block(model: nn.Module, queries: Tensor, texts: Tensor) -> Tensor:
    """Scores every video against a block of texts, some videos at a time.

    Args:
        model: Has ``similarity``.
        queries: Query embeddings, shape (V, Q, P).
        texts: Text embeddings, shape (b, P).

    Returns:
        Cosine similarity, float32 on the CPU, shape (V, b).
    """
    device = device_of(model)
    texts = texts.to(device)
    parts = [model.similarity(part.to(device), texts).float().cpu() for part in queries.split(VIDEO_BLOCK)]
    return torch.cat(parts)
