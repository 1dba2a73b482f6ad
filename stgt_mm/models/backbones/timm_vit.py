"""Any Vision Transformer of timm, applied to every frame."""

from typing import Any

import timm
import torch
from torch import Tensor, nn

from stgt_mm.errors import UserError
from stgt_mm.io.state import load_strictly
from stgt_mm.io.weight_files import read_state
from stgt_mm.models.backbones.weights import PACKAGE_PREFIX, resolve_weights
from stgt_mm.registry import MODELS
from stgt_mm.utils import did_you_mean

_CLS = ('token', 'mean')


@MODELS.register_module()
class TimmViT(nn.Module):
    """Image backbone of timm; the frames of all clips go through it as one batch.

    Args:
        model_name: Name in timm; 'eva_giant_patch14_clip_224' at depth 39 is BLIP-2's ViT-g, C = 1408.
        depth: Number of blocks that are kept from the front; None keeps all.
        img_size: Side of the frames in pixels, int or (height, width); None for that of timm's weights.
        frozen: No gradient, and eval mode even after ``train()``.
        pretrained: Whether timm loads its published weights (needs the network or timm's cache).
        checkpoint: Weights of this backbone: .safetensors or .pth, or ``package://stgt_mm/...`` for a file of
            the package. Loaded strictly, but for blocks past ``depth`` and for heads, which are not used.
        final_norm: Whether the final norm is applied to the tokens.
        token_scale: Factor on the tokens. Necks add a sin-cos embedding of size 0.7 to them: tokens much
            larger than that hide where they are.
        cls: What stands before the patches: ``'token'``, the CLS token, or ``'mean'``, the mean of the
            patches, for a ViT that has no CLS token.
        **timm_kwargs: Passed on to the timm model, e.g. patch_size, embed_dim, num_heads.

    Attributes:
        embed_dims: C.
        grid_size: (Gh, Gw), N = Gh * Gw.
        mean: Mean a channel in [0, 255] that timm's weights of this name want, which the data preprocessor
            follows; None for weights that ship with a package, which are not timm's.
        std: Standard deviation.

    Raises:
        ValueError: If timm does not know the model, it has no CLS token and ``cls`` is not ``'mean'``, or the
            weights do not fit.
    """

    def __init__(
        self,
        model_name: str,
        depth: int | None = None,
        img_size: int | tuple[int, int] | None = None,
        frozen: bool = True,
        pretrained: bool = False,
        checkpoint: str | None = None,
        final_norm: bool = False,
        token_scale: float = 1.0,
        cls: str = 'token',
        **timm_kwargs: Any,
    ) -> None:
        super().__init__()
        if depth is not None and depth < 1:
            raise ValueError(f'depth {depth} must be at least 1, or None for all blocks.')
        if pretrained and checkpoint:
            raise ValueError(f"pretrained=True and checkpoint='{checkpoint}' exclude each other: choose one.")
        if cls not in _CLS:
            raise ValueError(f"cls='{cls}'. {did_you_mean(cls, _CLS)}")
        if checkpoint:
            resolve_weights(checkpoint)  # a missing file must not show after a billion weights were drawn
        self.model_name = model_name
        self.final_norm = final_norm
        self.frozen = frozen
        self.token_scale = token_scale
        if depth is not None and not pretrained:
            timm_kwargs['depth'] = depth
        if img_size is not None:
            timm_kwargs['img_size'] = img_size
        self.vit = _create(model_name, pretrained, num_classes=0, **timm_kwargs)
        self._cut(depth)
        self.cls = cls
        if cls == 'token' and getattr(self.vit, 'cls_token', None) is None:
            raise ValueError(
                f"'{model_name}' has no CLS token: cls='mean' puts the mean of its patches there."
            )
        published = {} if str(checkpoint).startswith(PACKAGE_PREFIX) else self.vit.pretrained_cfg
        self.mean, self.std = (
            tuple(255 * v for v in published.get(key) or ()) or None for key in ('mean', 'std')
        )
        self.embed_dims: int = self.vit.embed_dim
        self.grid_size: tuple[int, int] = tuple(self.vit.patch_embed.grid_size)
        self.img_size: tuple[int, int] = tuple(self.vit.patch_embed.img_size)
        self.checkpoint = checkpoint
        if checkpoint:
            load_strictly(self.vit, self._used(read_state(resolve_weights(checkpoint))), checkpoint)
        self.requires_grad_(not frozen)
        self.train(not frozen)

    def _cut(self, depth: int | None) -> None:
        """Removes what the tokens do not pass: blocks past ``depth`` and, without final norm, the norms."""
        if depth is not None:
            if depth > len(self.vit.blocks):
                raise ValueError(
                    f"'{self.model_name}' has {len(self.vit.blocks)} blocks, depth {depth} is more."
                )
            self.vit.blocks = self.vit.blocks[:depth]
        self.vit.fc_norm = nn.Identity()
        self.vit.attn_pool = None  # SigLIP's and PE's way to one embedding of a picture
        if not self.final_norm:
            self.vit.norm = nn.Identity()

    def _used(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """Drops the weights of the parts that ``_cut`` removed."""
        unused = ['head.', 'fc_norm.', 'attn_pool.'] + ([] if self.final_norm else ['norm.'])
        kept = {}
        for key, tensor in state.items():
            block = key.split('.')[1] if key.startswith('blocks.') else '0'
            past = block.isdigit() and int(block) >= len(self.vit.blocks)
            if not past and not key.startswith(tuple(unused)):
                kept[key] = tensor
        return kept

    def init_weights(self) -> None:
        """Does nothing: mmengine calls this on every child, and timm's would draw all weights again."""

    def train(self, mode: bool = True) -> 'TimmViT':
        """Sets the training mode; a frozen backbone stays in eval mode."""
        return super().train(mode and not self.frozen)

    def forward(self, video: Tensor) -> Tensor:
        """Maps normalised frames [B, T, 3, H, W] to tokens [B, T, 1+N, C].

        CLS, or what stands for it, comes first, then the patches in row-major order; register tokens are
        dropped.
        """
        if video.ndim != 5 or tuple(video.shape[-2:]) != self.img_size:
            height, width = self.img_size
            raise ValueError(
                f"'{self.model_name}' expects video [B, T, 3, {height}, {width}] but got "
                f'{list(video.shape)}: make img_size and the resize of the pipeline equal.'
            )
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.frozen):
            with_prefix = self.cls == 'token'
            (found,) = self.vit.forward_intermediates(
                video.flatten(0, 1),
                indices=1,
                return_prefix_tokens=with_prefix,
                norm=self.final_norm,
                output_fmt='NLC',
                intermediates_only=True,
            )
            patches = found[0] if with_prefix else found
            cls = found[1][:, :1] if with_prefix else patches.mean(dim=1, keepdim=True)
            tokens = torch.cat([cls, patches], dim=1).unflatten(0, video.shape[:2])
            return tokens if self.token_scale == 1 else tokens * self.token_scale

    def extra_repr(self) -> str:
        """Returns what the tokens depend on beside the weights; feature caches are keyed by it."""
        # the default is left out: names of feature caches hold this
        cls = '' if self.cls == 'token' else f', cls={self.cls}'
        return f'final_norm={self.final_norm}, token_scale={self.token_scale}{cls}'


def _create(model_name: str, pretrained: bool, **kwargs: Any) -> nn.Module:
    """Builds the timm model; only ``pretrained`` may touch the network, with an error of its own."""
    if not timm.is_model(model_name):
        close = ', '.join(timm.list_models(f'*{model_name.split("_")[0]}*')[:5])
        raise ValueError(f"timm has no model '{model_name}'. Similar: {close or 'none'}.")
    try:
        vit = timm.create_model(model_name, pretrained=pretrained, **kwargs)
        if not hasattr(vit, 'blocks') or not hasattr(vit, 'patch_embed'):
            raise TypeError('it has no blocks of patches')
        return vit
    except TypeError as error:
        raise ValueError(f"'{model_name}' does not take these arguments ({error}): is it a ViT?") from error
    except (OSError, RuntimeError, ValueError) as error:
        if not pretrained:
            raise
        raise UserError(
            f"timm could not load the published weights of '{model_name}' ({error}). Without network, "
            'download them elsewhere and give the file as checkpoint=..., with pretrained=False.'
        ) from error
