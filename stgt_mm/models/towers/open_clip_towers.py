"""Dual encoders of ``open_clip``: PE-Core, and others that it reads."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from stgt_mm.io.pretrained import load_pretrained, open_clip_config, open_clip_name, open_clip_package
from stgt_mm.models.towers.base import Towers
from stgt_mm.registry import MODELS
from stgt_mm.utils import did_you_mean


@MODELS.register_module()
class OpenCLIPTowers(Towers):
    """Both towers of a model of ``open_clip``, frame by frame; needs ``pip install open_clip_torch``.

    Args:
        pretrained: Folder with ``open_clip_config.json`` and the weights, or the Hugging Face name of one.
        model_name: Architecture by its name in ``open_clip``, ``'PE-Core-B-16'``, where weights are not given
            or not wanted (the meta device).
        trainable: Sides that train, of 'video' and 'text'.

    Raises:
        ValueError: If ``open_clip`` is missing, or there are neither weights nor a name that it knows.
    """

    def __init__(
        self,
        pretrained: str | None = None,
        model_name: str | None = None,
        trainable: Sequence[str] = (),
    ) -> None:
        super().__init__(pretrained, trainable, 'open_clip')
        self.model, described = _build(pretrained, model_name)
        self.embed_dims: int = described['embed_dim']
        size = described['vision_cfg']['image_size']
        self.img_size = (size, size) if isinstance(size, int) else tuple(size)
        scale = self.model.logit_scale
        if not scale.is_meta:
            self.temperature = math.exp(-float(scale.detach()))
        self.model.logit_scale = self.model.logit_bias = None  # the head has the temperature
        self.finish(lambda name: not name.startswith('model.visual.'))

    def forward(self, video: Tensor) -> Tensor:
        """Maps prepared clips (B, T, 3, H, W) to embeddings (B, T, 1, P)."""
        self.check_clips(video)
        with torch.set_grad_enabled(torch.is_grad_enabled() and 'video' in self.trainable):
            return self.model.encode_image(video.flatten(0, 1)).unflatten(0, video.shape[:2])[:, :, None]

    def encode_text(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Encodes K texts as embeddings (K, P), of any length; ids are (K, context length), padded."""
        with torch.set_grad_enabled(torch.is_grad_enabled() and 'text' in self.trainable):
            return self.model.encode_text(ids)


def _build(pretrained: str | None, model_name: str | None) -> tuple[Any, dict[str, Any]]:
    """Builds the model; returns it and ``model_cfg``."""
    library = open_clip_package()
    # inside, a model is moved to the device that is named: on the meta device that must be meta
    options: dict[str, Any] = {'device': torch.get_default_device()}
    if pretrained:
        described = open_clip_config(pretrained)['model_cfg']
        name, options['require_pretrained'] = open_clip_name(pretrained), True
        return load_pretrained(library.create_model, name, 'the model', **options), described
    described = library.get_model_config(model_name) if model_name else None
    if described is None:
        raise ValueError(
            f'OpenCLIPTowers needs pretrained=FOLDER, or a model_name of open_clip, not {model_name!r}. '
            f'{did_you_mean(str(model_name), library.list_models())}'
        )
    return library.create_model(model_name, pretrained_text=False, **options), described
