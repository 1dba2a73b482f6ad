"""The segment that was pasted into a clip: found without knowing it, and compared with the truth."""

import torch
from torch import Tensor
from torch.nn import functional as F


def best_segment(frames: Tensor) -> Tensor:
    """Finds the segment whose frames differ most from the rest of the clip, knowing nothing else.

    Of all segments, the one for which the squared distances of the normalised frames from the mean of their
    side are smallest in sum. One at an end of the clip and its rest are the same split; the one returned then
    is at the start.

    Args:
        frames: Features of T >= 2 frames, shape (B, T, C).

    Returns:
        True at the segment, shape (B, T).

    Example:
        >>> import torch
        >>> from stgt_mm.functional.found_segments import best_segment
        >>> best_segment(torch.tensor([[[1.0, 0.0], [0.1, 1.0], [0.0, 1.0], [1.0, 0.1]]]))
        tensor([[False,  True,  True, False]])
    """
    steps = frames.shape[1]
    splits = [(start, end) for start in range(steps) for end in range(start + 1, steps + (start > 0))]
    starts, ends = torch.tensor(splits, device=frames.device).T[..., None]
    place = torch.arange(steps, device=frames.device)
    masks = (place >= starts) & (place < ends)
    unit = F.normalize(frames.float(), dim=-1)
    # of points with a fixed sum of squares: least within the sides is most in the means
    weights = masks.float()
    between = sum((side @ unit).square().sum(dim=-1) / side.sum(dim=-1) for side in (weights, 1 - weights))
    return masks[between.argmax(dim=1)]


def left_out_probability(frames: Tensor, mask: Tensor, temperature: float = 0.1) -> Tensor:
    """Foreground probability of each frame by centres that are made without it: chance is one half.

    With the frame itself in the centre of its side, as in ``foreground_probability``, even random features
    find it. A frame that is alone on its side has a cosine of 0 with its centre. Shapes are those of that
    function.
    """
    unit = frames.float()
    sides = torch.stack([mask, 1 - mask], dim=1).float()  # (B, 2, T)
    own = sides.transpose(1, 2)[..., None] * unit[:, :, None]  # (B, T, 2, C)
    centres = own.sum(dim=1, keepdim=True) - own  # a sum has the direction of the mean
    cosines = (F.normalize(unit, dim=-1)[:, :, None] * F.normalize(centres, dim=-1)).sum(dim=-1)
    return ((cosines[..., 0] - cosines[..., 1]) / temperature).sigmoid()


def segment_scores(found: Tensor, mask: Tensor, tolerance: int = 1) -> tuple[Tensor, Tensor]:
    """Compares segments, bool (B, T), with true ones: share of frames that are right, and boundaries (B,).

    Boundaries are found where the first and the last frame of the segment are within ``tolerance`` frames of
    the true ones.
    """
    right = (found == mask).float().mean(dim=1)
    first, last = (
        (side.int().argmax(dim=1) - true.int().argmax(dim=1)).abs()
        for side, true in ((found, mask), (found.flip(1), mask.flip(1)))
    )
    return right, found.any(dim=1) & (first <= tolerance) & (last <= tolerance)
