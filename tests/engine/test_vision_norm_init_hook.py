"""The norm behind the neck starts from the data, at step 0 and only there."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from stgt_mm.engine.hooks import VisionNormInitHook


class Toy(nn.Module):
    """A neck whose tokens share a large common part."""

    def __init__(self):
        super().__init__()
        self.neck = nn.Linear(4, 6)
        nn.init.constant_(self.neck.bias, 3.0)
        self.vision_norm = nn.LayerNorm(6)
        self.data_preprocessor = lambda batch: {'inputs': {'tokens': batch}}


def runner_at(step, model):
    clips = list(torch.randn(40, 5, 4, generator=torch.Generator().manual_seed(0)))
    loader = SimpleNamespace(dataset=clips, collate_fn=torch.stack)
    return SimpleNamespace(iter=step, model=model, train_dataloader=loader), torch.stack(clips)


def test_channels_start_centred_and_scaled():
    model = Toy()
    runner, clips = runner_at(0, model)
    before = model.vision_norm(model.neck(clips)).flatten(0, 1)
    assert before.mean(0).abs().max() > 0.1
    VisionNormInitHook(num_clips=40, batch_size=7).before_train(runner)
    after = model.vision_norm(model.neck(clips)).flatten(0, 1)
    torch.testing.assert_close(after.mean(0), torch.zeros(6), atol=1e-5, rtol=0)
    torch.testing.assert_close(after.std(0), torch.ones(6), atol=1e-4, rtol=0)
    assert model.training and model.vision_norm.weight.requires_grad


def test_a_resumed_run_keeps_what_it_learned_and_a_model_without_the_norm_is_named():
    model = Toy()
    VisionNormInitHook().before_train(runner_at(10, model)[0])
    assert model.vision_norm.weight.eq(1).all() and model.vision_norm.bias.eq(0).all()
    model.vision_norm = nn.Identity()
    with pytest.raises(ValueError, match='vision_norm'):
        VisionNormInitHook().before_train(runner_at(0, model)[0])
    with pytest.raises(ValueError, match='num_clips=1'):
        VisionNormInitHook(num_clips=1)
