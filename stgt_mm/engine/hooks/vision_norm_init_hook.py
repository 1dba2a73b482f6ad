"""Starts the norm between neck and Q-Former from the data: every channel with mean 0 and deviation 1."""

from typing import Any

import torch
from mmengine.hooks import Hook
from torch import Tensor, nn

from stgt_mm.datasets.mixed_dataset import parts_of
from stgt_mm.registry import HOOKS
from stgt_mm.utils import bare_model, evaluating


@HOOKS.register_module()
class VisionNormInitHook(Hook):
    """Sets ``vision_norm`` so that video tokens start centred and scaled, channel by channel.

    Behind a random neck two thirds of a token and more are the same for all clips, and what differs from clip
    to clip and from frame to frame is a hundredth: a Q-Former that starts from nothing needs hundreds of
    steps to find it. A model that starts from trained weights needs none of this. It happens before the
    first step of a run and not on resume; all processes read the same clips, so they start equal.

    Args:
        num_clips: Clips the statistics are taken over, the first of the training set (of its first source).
        batch_size: Clips at once.

    Note:
        Source: data-dependent initialisation, Salimans and Kingma 2016 (arXiv 1602.07868), section 3.
    """

    changes_training = True
    priority = 'HIGH'  # after the feature cache is filled

    def __init__(self, num_clips: int = 512, batch_size: int = 32) -> None:
        if num_clips < 2 or batch_size < 1:
            raise ValueError(f'num_clips={num_clips} must be at least 2, batch_size={batch_size} at least 1.')
        self.num_clips = num_clips
        self.batch_size = batch_size

    @torch.no_grad()
    def before_train(self, runner: Any) -> None:
        """Sets the norm at step 0; a model without ``vision_norm`` is a ValueError."""
        if runner.iter > 0:
            return
        model = bare_model(runner.model)
        norm = getattr(model, 'vision_norm', None)
        if not isinstance(norm, nn.LayerNorm):
            raise ValueError('VisionNormInitHook needs a model with vision_norm=dict(...).')
        with evaluating(model):
            tokens = self._tokens(runner, model)
        # what the norm gives before its affine part, a row a token
        flat = nn.functional.layer_norm(tokens, tokens.shape[-1:], eps=norm.eps).flatten(0, -2)
        mean, std = flat.mean(dim=0), flat.std(dim=0)
        norm.weight.copy_(1 / std.clamp(min=1e-3))
        norm.bias.copy_(-mean * norm.weight)

    def _tokens(self, runner: Any, model: nn.Module) -> Tensor:
        dataset, collate = parts_of(runner.train_dataloader.dataset)[0], runner.train_dataloader.collate_fn
        count = min(self.num_clips, len(dataset))
        tokens = []
        for start in range(0, count, self.batch_size):
            batch = collate([dataset[i] for i in range(start, min(start + self.batch_size, count))])
            inputs = model.data_preprocessor(batch)['inputs']
            frames = inputs['tokens'] if 'tokens' in inputs else model.backbone(inputs['video'])
            tokens.append(frames.flatten(1, 2) if model.neck is None else model.neck(frames))
        return torch.cat(tokens)
