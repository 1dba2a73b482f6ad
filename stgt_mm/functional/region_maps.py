"""Regions of a video that groups of patches make, and how well they fit what is known."""

import torch
from torch import Tensor
from torch.nn import functional as F


def group_regions(shares: Tensor, size: tuple[int, int]) -> Tensor:
    """Gives each pixel of each time step to a group: the shares enlarged bilinearly, then the largest.

    Args:
        shares: Of M groups in each patch, summing to one over the groups, shape (B, M, T, Gh, Gw).
        size: Height and width in pixels.

    Returns:
        Index of the group, int64, shape (B, T, H, W).

    Example:
        >>> import torch
        >>> from stgt_mm.functional.region_maps import group_regions
        >>> left = torch.tensor([[[[[0.9, 0.2]]]]])  # one group has the left of two patches
        >>> group_regions(torch.cat([left, 1 - left], dim=1), (1, 6))
        tensor([[[[0, 0, 0, 1, 1, 1]]]])
    """
    frames = shares.transpose(1, 2).flatten(0, 1)
    large = F.interpolate(frames, size, mode='bilinear', align_corners=False)
    return large.argmax(dim=1).unflatten(0, (len(shares), -1))


def region_overlap(regions: Tensor, masks: Tensor, groups: int) -> Tensor:
    """Computes intersection over union of every group's region with a mask, frame by frame.

    Args:
        regions: Index of the group of each pixel, below ``groups``, shape (T, H, W).
        masks: Bool, shape (T, H, W).
        groups: M.

    Returns:
        Float32, shape (T, M); NaN in frames whose mask is empty.
    """
    index = regions.flatten(1)
    area = torch.zeros(len(index), groups).scatter_add_(1, index, torch.ones_like(index, dtype=torch.float))
    own = masks.flatten(1).float()
    common = torch.zeros(len(index), groups).scatter_add_(1, index, own)
    known = own.sum(dim=1, keepdim=True)
    return (common / (area + known - common)).masked_fill(known == 0, float('nan'))


def points_at(shares: Tensor, masks: Tensor) -> Tensor:
    """Tells whether the patch in which a group has its largest share has its centre within a mask.

    The pointing game: unlike an overlap it does not depend on how fine the patches are.

    Args:
        shares: Of M groups in each patch, shape (M, T, Gh, Gw).
        masks: Bool, shape (T, H, W).

    Returns:
        0 or 1, shape (T, M); NaN in frames whose mask is empty.
    """
    grid, size = shares.shape[2:], masks.shape[1:]
    rows, columns = (((torch.arange(n) + 0.5) * pixels / n).long() for n, pixels in zip(grid, size))
    centres = masks[:, rows][:, :, columns].flatten(1).float()  # (T, Gh*Gw)
    hits = centres.gather(1, shares.flatten(2).argmax(dim=2).T)
    return hits.masked_fill(~masks.flatten(1).any(dim=1, keepdim=True), float('nan'))
