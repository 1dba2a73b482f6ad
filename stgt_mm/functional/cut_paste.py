"""Cut and paste along time: a segment of each clip goes into another clip of the batch."""

import math
from typing import NamedTuple

import torch
from torch import Tensor


class Segments(NamedTuple):
    """What is pasted where; each tensor has the shape (B,), int64, in units of tubelets."""

    partner: Tensor  # the clip that gives the background, never the clip itself
    length: Tensor  # 0 leaves the clip as it is
    source: Tensor  # where the segment starts in its own clip
    target: Tensor  # where it starts in the blended one


def draw_partners(clips: int) -> Tensor:
    """Draws a permutation of ``clips`` >= 2 without fixed points, int64: one random cycle through all."""
    order = torch.randperm(clips)
    return torch.empty_like(order).scatter_(0, order, order.roll(1))


def draw_segments(clips: int, length: int, prob: float, min_ratio: float, max_ratio: float) -> Segments:
    """Draws a blend of a batch of clips of ``length`` tubelets, from torch's global generator.

    A clip is blended with probability ``prob``. Its segment has a length between the two shares, evenly, and
    at least one tubelet of either side is left; both starts are even over what fits. A single clip, or clips
    of one tubelet, stay as they are.
    """
    none = torch.zeros(clips, dtype=torch.long)
    if clips < 2 or length < 2:
        return Segments(torch.arange(clips), none, none, none)
    low = min(max(math.ceil(min_ratio * length), 1), length - 1)
    high = min(max(math.floor(max_ratio * length), low), length - 1)
    size = torch.randint(low, high + 1, (clips,))
    source, target = ((torch.rand(clips) * (length - size + 1)).long() for _ in range(2))
    size = size * (torch.rand(clips) < prob)
    return Segments(draw_partners(clips), size, source, target)


def blend_clips(clips: Tensor, segments: Segments, tubelet: int = 1) -> tuple[Tensor, Tensor]:
    """Pastes a segment of every clip into its partner, by one gather.

    Args:
        clips: Frames or tokens, time second, shape (B, T, ...); T is a multiple of ``tubelet``.
        segments: From :func:`draw_segments`, on any device.
        tubelet: Frames of a tubelet.

    Returns:
        The blended clips, shape (B, T, ...), and the mask, float32 (B, T / tubelet): 1 at the segment, all 1
        for a clip that was left alone.

    Source: S-ViLM (arXiv 2303.16341), cut and paste: v~ = m * v + (1 - m) * v_partner, the segment shifted.

    Example:
        >>> import torch
        >>> from stgt_mm.functional.cut_paste import Segments, blend_clips
        >>> clips = torch.tensor([[1, 2, 3, 4], [5, 6, 7, 8]])
        >>> one = torch.ones(2, dtype=torch.long)
        >>> segments = Segments(torch.tensor([1, 0]), length=2 * one, source=0 * one, target=one)
        >>> blend_clips(clips, segments)[0]
        tensor([[5, 1, 2, 8],
                [1, 5, 6, 4]])
    """
    count, frames = clips.shape[:2]
    partner, length, source, target = (part[:, None] for part in segments)
    steps = torch.arange(frames // tubelet, device=partner.device)[None]
    inside = (steps >= target) & (steps < target + length)
    foreground = inside | (length == 0)
    own = torch.arange(count, device=partner.device)[:, None]
    rows = torch.where(foreground, own, partner)
    times = torch.where(inside, steps - target + source, steps) * tubelet
    offsets = torch.arange(tubelet, device=partner.device)
    times = (times[..., None] + offsets).flatten(1)
    rows = rows.repeat_interleave(tubelet, dim=1)
    blended = clips[rows.to(clips.device), times.to(clips.device)]
    return blended, foreground.float().to(clips.device)
