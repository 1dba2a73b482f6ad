"""Cross-similarity alignment (CSAL), whose targets are how alike the clips and how alike the texts are."""

import torch
import torch.nn.functional as F
from torch import Tensor

from stgt_mm.functional.contrastive import smooth_targets, soft_cross_entropy


def cross_similarity_targets(
    video_similarity: Tensor,
    text_similarity: Tensor,
    positives: Tensor,
    gamma: float = 5.0,
    target_floor: float = 0.05,
) -> Tensor:
    """Soft targets: softmax of ``gamma`` times the product of the two self-similarities.

    Negative cosines count as 0, so that two opposites do not make a likeness. Columns whose product is below
    ``target_floor`` get no mass; a row's own column always keeps its mass, so no row is ever empty.

    Note:
        With G columns and products in [0, 1] the largest ratio of two targets is ``exp(gamma)``, 148 at
        gamma 5. While all self-similarities are high, targets are close to 1/G: raise ``gamma`` or
        ``target_floor`` on small batches.

    Args:
        video_similarity: Cosines of the local clips with all clips, S_vv, shape (B, G).
        text_similarity: Cosines of the local texts with all texts, S_tt, shape (B, G).
        positives: Column of each row's own pair, int64, shape (B,).
        gamma: Sharpness of the softmax, dimensionless, > 0.
        target_floor: Products below it are left out, in [0, 1].

    Returns:
        Row-stochastic targets, shape (B, G). Gradient flows to both similarities.

    Source: STGT Eq. 18-20. The paper leaves out a column where a self-similarity is not positive; the floor
    of 0.05 on the product is the release's.

    Example:
        >>> import torch
        >>> from stgt_mm.functional.cross_similarity import cross_similarity_targets
        >>> alike = torch.tensor([[1.0, 0.8, 0.0]])  # the second clip and text are much like the first
        >>> cross_similarity_targets(alike, alike, positives=torch.tensor([0]))
        tensor([[0.8581, 0.1419, 0.0000]])
    """
    product = video_similarity.clamp(min=0) * text_similarity.clamp(min=0)
    own = F.one_hot(positives, product.size(1)).to(torch.bool)
    return (gamma * product).masked_fill((product < target_floor) & ~own, -torch.inf).softmax(dim=1)


def cross_similarity_loss(
    logits_v2t: Tensor, logits_t2v: Tensor, targets: Tensor, label_smoothing: float = 0.01
) -> Tensor:
    """CSAL of each local pair: cross entropy of both directions with the same soft targets, averaged.

    Args:
        logits_v2t: Cosines / temperature of the local videos with all texts, shape (B, G).
        logits_t2v: Cosines / temperature of the local texts with all videos, shape (B, G).
        targets: Output of :func:`cross_similarity_targets`, shape (B, G).
        label_smoothing: Share of the target mass spread over all columns, in [0, 1).

    Returns:
        One value a pair, shape (B,).

    Source: STGT Eq. 18-20; the smoothing of 0.01 is the release's.
    """
    targets = smooth_targets(targets, label_smoothing)
    return (soft_cross_entropy(logits_v2t, targets) + soft_cross_entropy(logits_t2v, targets)) / 2
