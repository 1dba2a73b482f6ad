"""A video transformer of timm's image blocks: tubelets, group tokens, grouping blocks."""

from typing import Any, NamedTuple

import torch
from timm.models import VisionTransformer
from torch import Tensor, nn

from stgt_mm.functional.position import resize_temporal
from stgt_mm.models.backbones.timm_vit import TimmViT
from stgt_mm.models.layers.grouping_block import GroupingBlock
from stgt_mm.registry import MODELS
from stgt_mm.utils import did_you_mean

_ATTENTION = ('joint', 'frame')
_INFLATION = ('mean', 'centre')


class GroupedTokens(NamedTuple):
    """What :meth:`GroupedViT.encode` finds in B clips of T' tubelets with N patches each."""

    tokens: Tensor  # [B, T', 1+N, C]; at the place of CLS the mean of the patches
    groups: Tensor  # [B, M, C], behind the last grouping block
    assignments: list[Tensor]  # one a grouping block, [B, M, T'*N]: shares of the groups in each patch


@MODELS.register_module()
class GroupedViT(TimmViT):
    """S-ViLM's video encoder on any VisionTransformer of timm, whose image weights it takes.

    Group tokens pass the blocks beside the patches; after some blocks a grouping block refines them by the
    patches that choose them. With one frame a tubelet, ``attention='frame'`` and the group tokens out of the
    attention, the patches are those of ``TimmViT``.

    Args:
        model_name: Name in timm.
        tubelet: Frames of a tubelet; a picture fills one by repetition.
        num_frames: T the temporal embedding is made for; another T resizes it.
        attention: ``'joint'``, over all patches of the clip, or ``'frame'``, within a tubelet's.
        num_groups: M.
        group_after: Numbers of the blocks, from 1, that a grouping block follows.
        assign: ``'kmeans'``, ``'gumbel'`` or ``'soft'``, see :class:`GroupingBlock`.
        cross_attention: Whether grouping blocks let groups look at all patches, see :class:`GroupingBlock`.
        group_tokens_in_attention: Whether the blocks let patches and group tokens see each other; only with
            joint attention.
        group_init_std: Std of the group tokens at the start.
        inflation: The image's patch embedding over time: ``'mean'``, an equal part for each frame of the
            tubelet, or ``'centre'``, all for the middle one.
        frozen: No gradient, and eval mode even after ``train()``.
        final_norm: Whether the final norm is applied to the tokens; the groups have their own blocks.
        **kwargs: Of :class:`TimmViT`.

    Attributes:
        embed_dims: C.
        grid_size: (Gh, Gw), N = Gh * Gw.

    Raises:
        ValueError: If an argument has no meaning here, or the model is no VisionTransformer.

    Source: S-ViLM (arXiv 2303.16341), of which the body was not to be had: docs/s_vilm.md says what is ours.
    """

    def __init__(
        self,
        model_name: str,
        tubelet: int = 2,
        num_frames: int = 32,
        attention: str = 'joint',
        num_groups: int = 32,
        group_after: tuple[int, ...] = (6, 9, 12),
        assign: str = 'kmeans',
        cross_attention: bool = False,
        group_tokens_in_attention: bool = True,
        group_init_std: float = 0.02,
        inflation: str = 'mean',
        frozen: bool = False,
        final_norm: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(model_name, frozen=frozen, final_norm=final_norm, **kwargs)
        self._check(tubelet, num_frames, attention, group_tokens_in_attention, group_after, inflation)
        self.tubelet = tubelet
        self.attention = attention
        self.group_after = tuple(group_after)
        self.group_tokens_in_attention = group_tokens_in_attention
        if tubelet > 1:
            self.vit.patch_embed.proj = inflate(self.vit.patch_embed.proj, tubelet, inflation)
        width, heads = self.embed_dims, self.vit.blocks[0].attn.num_heads
        self.temporal_embed = nn.Parameter(torch.zeros(num_frames // tubelet, width))
        self.group_tokens = nn.Parameter(torch.randn(num_groups, width) * group_init_std)
        self.grouping = nn.ModuleList(
            GroupingBlock(width, heads, assign, cross_attention=cross_attention) for _ in self.group_after
        )
        self.requires_grad_(not frozen)
        self.train(not frozen)

    def _check(
        self,
        tubelet: int,
        num_frames: int,
        attention: str,
        in_attention: bool,
        group_after: tuple[int, ...],
        inflation: str,
    ) -> None:
        if not isinstance(self.vit, VisionTransformer):
            raise ValueError(f"'{self.model_name}' is no VisionTransformer of timm, which GroupedViT needs.")
        for name, value, known in (
            ('attention', attention, _ATTENTION),
            ('inflation', inflation, _INFLATION),
        ):
            if value not in known:
                raise ValueError(f"{name}='{value}'. {did_you_mean(value, known)}")
        if attention == 'frame' and in_attention:
            raise ValueError(
                "attention='frame' has no place for tokens of the whole clip: set "
                'group_tokens_in_attention=False.'
            )
        if tubelet < 1 or num_frames % tubelet or num_frames < 1:
            raise ValueError(f'num_frames={num_frames} is no multiple of tubelet={tubelet}.')
        last = len(self.vit.blocks)
        if not group_after or sorted(set(group_after)) != list(group_after):
            raise ValueError(f'group_after={group_after}: numbers of blocks, at least one, in order.')
        if group_after[0] < 1 or group_after[-1] > last:
            raise ValueError(f"group_after={group_after}: '{self.model_name}' has the blocks 1 to {last}.")

    def forward(self, video: Tensor) -> Tensor:
        """Maps normalised frames [B, T, 3, H, W] to tokens [B, T', 1+N, C], T' = T / tubelet."""
        return self.encode(video).tokens

    def encode(self, video: Tensor) -> GroupedTokens:
        """Maps normalised frames [B, T, 3, H, W] to tokens, groups and assignments.

        T is a multiple of the tubelet, or 1. Another shape is a ValueError.
        """
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.frozen):
            x = self._embed(video)
            groups = self.group_tokens.to(x.dtype).expand(len(x), -1, -1)
            assignments, blocks = [], iter(self.grouping)
            for number, block in enumerate(self.vit.blocks, 1):
                x, groups = self._attend(block, x, groups)
                if number in self.group_after:
                    groups, assignment = next(blocks)(groups, self._patches(x).flatten(1, 2))
                    assignments.append(assignment)
            patches = self._patches(self.vit.norm(x)) * self.token_scale
            tokens = torch.cat([patches.mean(dim=2, keepdim=True), patches], dim=2)
            if torch.is_grad_enabled():
                # DDP waits for gradients of all that made the groups, also where no loss reads them
                tokens = tokens + 0 * groups.sum()
            return GroupedTokens(tokens, groups, assignments)

    def _patches(self, x: Tensor) -> Tensor:
        return x[:, :, self.vit.num_prefix_tokens :]

    def _embed(self, video: Tensor) -> Tensor:
        """Makes the first states [B, T', P+N, C], P prefix tokens (CLS) in each tubelet."""
        if video.ndim == 5 and video.shape[1] == 1:
            video = video.expand(-1, self.tubelet, -1, -1, -1)
        if video.ndim != 5 or tuple(video.shape[-2:]) != self.img_size or video.shape[1] % self.tubelet:
            height, width = self.img_size
            raise ValueError(
                f"GroupedViT ('{self.model_name}') expects video [B, T, 3, {height}, {width}], T a multiple "
                f'of tubelet={self.tubelet}, but got {list(video.shape)}: see num_frames and the resize of '
                'the pipeline.'
            )
        tubes = video.unflatten(1, (-1, self.tubelet)).flatten(2, 3)  # [B, T', tubelet*3, H, W]
        x = self.vit.norm_pre(self.vit._pos_embed(self.vit.patch_embed(tubes.flatten(0, 1))))
        x = x.unflatten(0, tubes.shape[:2])
        return x + resize_temporal(self.temporal_embed, x.shape[1])[:, None]

    def _attend(self, block: nn.Module, x: Tensor, groups: Tensor) -> tuple[Tensor, Tensor]:
        """Runs a block of timm over states [B, T', L, C] and groups [B, M, C]."""
        clips, tubelets, length = x.shape[:3]
        if self.attention == 'frame':
            return block(x.flatten(0, 1)).unflatten(0, (clips, tubelets)), groups
        x = x.flatten(1, 2)
        if not self.group_tokens_in_attention:
            return block(x).unflatten(1, (tubelets, length)), groups
        both = block(torch.cat([x, groups], dim=1))
        x, groups = both.split([x.shape[1], groups.shape[1]], dim=1)
        return x.unflatten(1, (tubelets, length)), groups

    def extra_repr(self) -> str:
        """Returns what the tokens depend on beside the weights; feature caches are keyed by it."""
        return (
            f'{super().extra_repr()}, tubelet={self.tubelet}, attention={self.attention}, '
            f'group_after={self.group_after}, group_tokens_in_attention={self.group_tokens_in_attention}'
        )


def inflate(proj: nn.Conv2d, tubelet: int, inflation: str = 'mean') -> nn.Conv2d:
    """Makes the patch embedding of an image one of tubelets, whose frames stand in the channels."""
    wide = nn.Conv2d(
        tubelet * proj.in_channels,
        proj.out_channels,
        proj.kernel_size,
        proj.stride,
        bias=proj.bias is not None,
        device=proj.weight.device,
        dtype=proj.weight.dtype,
    )
    weight = proj.weight.detach()
    with torch.no_grad():
        if inflation == 'mean':
            wide.weight.copy_(weight.repeat(1, tubelet, 1, 1) / tubelet)
        else:
            wide.weight.zero_().unflatten(1, (tubelet, -1))[:, tubelet // 2] = weight
        if proj.bias is not None:
            wide.bias.copy_(proj.bias)
    return wide
