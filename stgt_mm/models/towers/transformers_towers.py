"""Dual encoders of ``transformers``: CLIP, SigLIP, SigLIP 2, X-CLIP, VideoPrism."""

import copy
import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from stgt_mm.io.pretrained import load_pretrained
from stgt_mm.models.towers.base import Towers
from stgt_mm.registry import MODELS
from stgt_mm.utils import did_you_mean

# what reads the clip: each frame by itself, or the video side of the model
_OF_FRAMES = ('clip', 'siglip', 'siglip2')
_OF_CLIPS = ('xclip', 'videoprism')
# read by neither side: the temperature is the head's, and X-CLIP's texts that look at a video are no vectors
_LEFT_OUT = (
    'logit_scale', 'logit_bias', 'prompts_generator', 'prompts_visual_layernorm', 'prompts_visual_projection',
)  # fmt: skip


@MODELS.register_module()
class TransformersTowers(Towers):
    """Both towers of CLIPModel, SiglipModel, Siglip2Model, XCLIPModel or VideoPrismClipModel.

    Images are embedded frame by frame; X-CLIP and VideoPrism have a video side of their own, which makes one
    embedding of a clip. X-CLIP's video-specific prompts, which make another text of every video, are left
    out: its texts are those of ``get_text_features``.

    Args:
        pretrained: Folder or Hugging Face name of the weights; None starts at random.
        config: Architecture, ``dict(model_type='clip', ...)``, where weights are not given or not wanted (the
            meta device).
        trainable: Sides that train, of 'video' and 'text'.

    Raises:
        ValueError: If there are neither weights nor a config, or the type is another.
    """

    def __init__(
        self,
        pretrained: str | None = None,
        config: dict[str, Any] | None = None,
        trainable: Sequence[str] = (),
    ) -> None:
        super().__init__(pretrained, trainable, 'transformers')
        self.model = _build(pretrained, config)
        cfg = self.model.config
        self.kind: str = cfg.model_type
        vision = cfg.vision_config
        self.embed_dims: int = getattr(cfg, 'projection_dim', None) or vision.hidden_size
        if self.kind != 'siglip2':
            side = vision.image_size
            self.img_size = (side, side) if isinstance(side, int) else tuple(side)
        self.num_frames = vision.num_frames if self.kind in _OF_CLIPS else None
        scale = getattr(self.model, 'logit_scale', None)
        if scale is not None and not scale.is_meta:
            self.temperature = math.exp(-float(scale.detach()))
        for name in _LEFT_OUT:
            if hasattr(self.model, name):
                delattr(self.model, name)
        self.finish(lambda name: name.startswith('model.text_'))

    def forward(self, video: Tensor) -> Tensor:
        """Maps prepared clips (B, T, 3, H, W) to embeddings (B, T, 1, P); (B, 1, 1, P) by a video side."""
        self.check_clips(video)
        with torch.set_grad_enabled(torch.is_grad_enabled() and 'video' in self.trainable):
            if self.kind in _OF_CLIPS:
                found = self.model.get_video_features(video).pooler_output
                return found.reshape(len(video), 1, 1, -1)
            frames = video.flatten(0, 1)
            inputs = {'pixel_values': frames} if self.kind != 'siglip2' else self._patches(frames)
            return self.model.get_image_features(**inputs).pooler_output.unflatten(0, video.shape[:2])[
                :, :, None
            ]

    def _patches(self, frames: Tensor) -> dict[str, Tensor]:
        """Cuts frames (n, 3, H, W) into the rows of patches that ``Siglip2Model`` reads; none is padding."""
        side = self.model.config.vision_config.patch_size
        rows, columns = (length // side for length in frames.shape[-2:])
        patches = frames.unflatten(3, (columns, side)).unflatten(2, (rows, side)).permute(0, 2, 4, 3, 5, 1)
        patches = patches.reshape(len(frames), rows * columns, -1)
        return {
            'pixel_values': patches,
            'pixel_attention_mask': patches.new_ones(patches.shape[:2], dtype=torch.long),
            'spatial_shapes': torch.tensor([[rows, columns]] * len(frames), device=frames.device),
        }

    def encode_text(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Encodes K texts, ids and mask (K, L), as embeddings (K, P), of any length."""
        # CLIP reads up to the end of a text, SigLIP its padding too, VideoPrism all that is no padding
        mask = mask.long() if self.kind == 'videoprism' else None
        with torch.set_grad_enabled(torch.is_grad_enabled() and 'text' in self.trainable):
            return self.model.get_text_features(input_ids=ids, attention_mask=mask).pooler_output

    def text_blocks(self, count: int) -> tuple[nn.ModuleList, Tensor]:
        """Copies the first blocks of the text side and its position embeddings (L, P), for seqTransf."""
        text = self.model.text_model
        if self.kind not in _OF_FRAMES or text.config.hidden_size != self.embed_dims:
            return super().text_blocks(count)
        blocks = copy.deepcopy(text.encoder.layers[:count])
        if len(blocks) < count:
            raise ValueError(f'temporal_layers={count}: the text side has {len(blocks)} blocks.')
        return blocks, text.embeddings.position_embedding.weight.detach().clone()


def _build(pretrained: str | None, config: dict[str, Any] | None) -> nn.Module:
    from transformers import AutoConfig, AutoModel

    if not pretrained and not config:
        raise ValueError('TransformersTowers needs pretrained=FOLDER, or config=dict(model_type=...).')
    kinds = _OF_FRAMES + _OF_CLIPS
    cfg = (
        load_pretrained(AutoConfig.from_pretrained, pretrained, 'config.json')
        if pretrained
        else AutoConfig.for_model(**config)
    )
    if cfg.model_type not in kinds:
        raise ValueError(
            f"model_type='{cfg.model_type}' is no dual encoder. {did_you_mean(cfg.model_type, kinds)}"
        )
    if not pretrained:
        return AutoModel.from_config(cfg)
    return load_pretrained(
        AutoModel.from_pretrained, pretrained, 'the model', config=cfg, dtype=torch.float32
    )
