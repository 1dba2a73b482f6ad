"""What only a GPU shows: devices, autocast types, loss scaling. STGT_TEST_DEVICE=cpu runs it on a CPU."""

import os
from pathlib import Path

import pytest
import torch
from command_line import ROOT
from reduced import reduce_config

from stgt_mm.config import load_config
from stgt_mm.engine.cli import build_runner
from stgt_mm.engine.optim import AutocastOptimWrapper, TrainableParamsConstructor
from stgt_mm.models.layers import SpatioTemporalGraphAttention
from stgt_mm.random_weights import without_weights
from stgt_mm.registry import MODELS
from stgt_mm.structures import VideoTextSample

DEVICE = os.environ.get('STGT_TEST_DEVICE', 'cuda')
ABLATIONS = sorted((ROOT / 'configs/ablations').glob('*.py'))
TINY = ROOT / 'configs/moving_shapes/stgt_tiny.py'
pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(DEVICE == 'cuda' and not torch.cuda.is_available(), reason='no GPU'),
]


def small_model(path, data, folder, **neck):
    cfg = reduce_config(load_config(str(path), {}), data, folder)
    cfg.model.neck.update(neck)
    torch.manual_seed(0)
    return MODELS.build(without_weights(cfg.model.to_dict())).to(DEVICE).train()


def batch_for(model, pairs=4):
    clips = torch.randint(0, 256, (pairs, 8, 3, *model.backbone.img_size), dtype=torch.uint8)
    samples = [
        VideoTextSample(metainfo={'video_id': str(i), 'text': f'a red square moves {word}'})
        for i, word in enumerate(('up', 'down', 'left', 'right')[:pairs])
    ]
    return {'inputs': clips, 'data_samples': samples}


def wrapper_for(model, **options):
    options = {'type': AutocastOptimWrapper, 'optimizer': {'type': 'AdamW', 'lr': 1e-3}, **options}
    return TrainableParamsConstructor(options)(model)


def losses_on_device(model, dtype=torch.bfloat16):
    data = model.data_preprocessor(batch_for(model), training=True)
    with torch.autocast(DEVICE, dtype=dtype):
        losses = model(**data, mode='loss')
    elsewhere = {key: value.device for key, value in losses.items() if value.device.type != DEVICE}
    assert not elsewhere, 'processes reduce all of them in one tensor'
    torch.stack([value.detach().float().reshape(()) for value in losses.values()])
    return losses


@pytest.mark.parametrize('backend', ['banded', 'dense'])
@pytest.mark.parametrize('path', ABLATIONS, ids=lambda path: path.stem)
def test_neck_of_each_ablation_trains_a_step(path, backend, small_moving_shapes, tmp_path):
    cross = 'cross_frame' in path.stem
    if cross and backend == 'dense':
        pytest.skip('this neck has no graph')
    options = {} if cross else {'attention_backend': backend}
    model = small_model(path, small_moving_shapes, tmp_path, **options)
    losses_on_device(model)
    wrapper = wrapper_for(model, dtype='bfloat16')
    before = {name: p.detach().clone() for name, p in model.neck.named_parameters()}
    found = model.train_step(batch_for(model), wrapper)
    assert all(torch.isfinite(value).all() for value in found.values())
    changed = [name for name, p in model.neck.named_parameters() if not p.equal(before[name])]
    assert len(changed) > 0.9 * len(before)


@pytest.mark.skipif(DEVICE == 'cpu', reason='flex has no gradient on a CPU')
@pytest.mark.parametrize('frames,nodes', [(8, 36), (8, 32), (1, 36)])
def test_flex_attention_has_the_output_and_the_gradients_of_banded(frames, nodes):
    """288 tokens are no multiple of the kernel's 128, for which its backward gave NaN; 256 are."""
    found = []
    for backend in ('banded', 'flex'):
        torch.manual_seed(0)
        layer = SpatioTemporalGraphAttention(96, 4, attn_drop=0.0, backend=backend).to(DEVICE)
        x = torch.randn(3, frames * nodes, 96, device=DEVICE, requires_grad=True)
        out = layer(x, frames)
        found.append([out, *torch.autograd.grad(out.square().sum(), [x, *layer.parameters()])])
    for a, b in zip(*found, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-3)


def test_dense_attention_with_weights_alone_stays_on_the_device(small_moving_shapes, tmp_path):
    """The backend without adjacency: there was a density on the CPU."""
    for backend in ('dense', 'banded'):
        options = {'use_adjacency': False, 'use_edge_weights': True, 'attention_backend': backend}
        losses_on_device(small_model(TINY, small_moving_shapes, tmp_path, **options))


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16], ids=str)
def test_autocast_computes_products_in_half_and_losses_in_full(dtype, small_moving_shapes, tmp_path):
    model = small_model(TINY, small_moving_shapes, tmp_path)
    seen = {}
    for name in ('neck', 'qformer'):

        def note(layer, inputs, output, name=name):
            seen.setdefault(name, output.dtype)

        linear = next(m for m in model.get_submodule(name).modules() if isinstance(m, torch.nn.Linear))
        linear.register_forward_hook(note)
    losses = losses_on_device(model, dtype)
    assert seen['neck'] == seen['qformer'] == dtype
    assert {value.dtype for key, value in losses.items() if 'loss' in key} == {torch.float32}
    exact = model(**model.data_preprocessor(batch_for(model)), mode='loss')
    assert all(torch.isfinite(value) for value in exact.values())


@pytest.mark.parametrize('dtype', [None, 'bfloat16', 'float16'])
def test_mixed_precision_with_gradient_clipping(dtype, small_moving_shapes, tmp_path):
    if dtype == 'float16' and DEVICE == 'cpu':
        model = small_model(TINY, small_moving_shapes, tmp_path)
        if not torch.cuda.is_available():
            with pytest.raises(ValueError, match='needs a GPU'):
                wrapper_for(model, dtype=dtype)
        return
    model = small_model(TINY, small_moving_shapes, tmp_path)
    wrapper = wrapper_for(model, dtype=dtype, clip_grad={'max_norm': 0.01})
    assert isinstance(wrapper, AutocastOptimWrapper)
    norms = []
    update = wrapper.optimizer.step

    def step(*args, **kwargs):
        grads = [
            p.grad for group in wrapper.optimizer.param_groups for p in group['params'] if p.grad is not None
        ]
        norms.append(float(torch.nn.utils.get_total_norm(grads)))
        return update(*args, **kwargs)

    wrapper.optimizer.step = step
    batch = batch_for(model)
    losses = [float(model.train_step(batch, wrapper)['loss'].detach()) for _ in range(8)]
    assert norms and max(norms) < 0.0101, 'gradients are unscaled before they are clipped'
    assert losses[-1] < losses[0]


def test_checkpoint_of_this_device_resumes_on_a_cpu(small_moving_shapes, tmp_path, monkeypatch):
    """Trains an epoch here, then goes on without a GPU."""
    cfg = reduce_config(load_config(str(TINY), {}), small_moving_shapes, tmp_path)
    cfg.update(experiment_name=f'{tmp_path.name}-first', log_level='ERROR')
    runner = build_runner(cfg)
    runner.train()
    assert next(runner.model.parameters()).device.type == DEVICE
    trained = {key: value.cpu() for key, value in runner.bare_model.state_dict().items()}
    steps, checkpoint = runner.iter, tmp_path / 'epoch_1.pth'
    assert checkpoint.is_file() and steps > 1

    monkeypatch.setattr(
        'mmengine.model.base_model.base_model.BaseModel.cuda', lambda self, *_: self, raising=False
    )
    for place in ('stgt_mm.engine.runner.get_device', 'mmengine.runner.runner.get_device'):
        monkeypatch.setattr(place, lambda: 'cpu')
    monkeypatch.setattr('torch.cuda.is_available', lambda: False)
    cfg.update(experiment_name=f'{tmp_path.name}-second', resume=True, load_from=str(checkpoint))
    again = build_runner(cfg)
    again.train()
    assert next(again.model.parameters()).device.type == 'cpu' and again.iter == steps
    state = again.optim_wrapper.optimizer.state.values()
    assert {value.device.type for own in state for value in own.values() if torch.is_tensor(value)} == {'cpu'}
    close = 1e-2 if DEVICE == 'cuda' else 1e-6
    for key, value in again.bare_model.state_dict().items():
        torch.testing.assert_close(
            value, trained[key], atol=close, rtol=close, msg=lambda m, key=key: f'{key}: {m}'
        )
    assert Path(cfg.work_dir, 'metrics.jsonl').is_file()
