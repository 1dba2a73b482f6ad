import math

import pytest
import torch
from engine_toy import ToyModel
from mmengine.logging import MessageHub
from mmengine.optim import build_optim_wrapper
from mmengine.registry import DefaultScope
from torch import nn

from stgt_mm.engine.errors import NonFiniteLossError
from stgt_mm.engine.muon import Muon
from stgt_mm.engine.optim import AutocastOptimWrapper, TrainableParamsConstructor
from stgt_mm.engine.schedulers import StagedWarmupCosine


@pytest.fixture(autouse=True, scope='module')
def own_scope():
    DefaultScope.get_instance('test_optim', scope_name='stgt_mm')


def sgd():
    return torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)


def toy():
    return ToyModel(backbone={'type': 'ToyBackbone'})


def config(**extra):
    optimizer = {'type': 'AdamW', 'lr': 0.1, 'weight_decay': 0.05}
    return {'optimizer': optimizer, 'type': 'AutocastOptimWrapper', **extra}


def formula(step, stages, warmup, start, floor):
    """The schedule, written down a second time."""
    begin = 0
    for index, (length, peak) in enumerate(stages):
        if begin <= step < begin + length:
            t, w = step - begin, warmup if index == 0 else 0
            if t < w:
                return start * (1 - t / w) + peak * t / w
            return floor + (peak - floor) * math.cos(math.pi / 2 * (t - w) / (length - w)) ** 2
        begin += length
    return floor


def test_schedule_equals_the_formula_and_keeps_ratios():
    params = [nn.Parameter(torch.zeros(1)) for _ in range(2)]
    optimizer = torch.optim.SGD([{'params': params[:1]}, {'params': params[1:], 'lr': 0.02}], lr=0.2)
    schedule = StagedWarmupCosine.build_iter_from_epoch(
        optimizer, stages=[(12, 5e-5), (6, 2.5e-5)], warmup_iters=20, epoch_length=10, end=18
    )
    stages = [(120, 5e-5), (60, 2.5e-5)]
    for step in range(180):
        expected = formula(step, stages, 20, 1e-7, 1e-6)
        assert optimizer.param_groups[0]['lr'] == pytest.approx(expected, rel=1e-12)
        assert optimizer.param_groups[1]['lr'] == pytest.approx(expected / 10, rel=1e-12)
        optimizer.step()
        schedule.step()
    assert schedule.rate(0) == 1e-7
    assert schedule.rate(20) == 5e-5
    assert schedule.rate(120) == 2.5e-5
    assert schedule.rate(180) == schedule.rate(10**6) == 1e-6


def test_schedule_resumes_and_warms_up_each_stage_if_asked():
    def build():
        optimizer = sgd()
        stages = [(10, 1.0), (10, 0.5)]
        return optimizer, StagedWarmupCosine(optimizer, stages, warmup_ratio=0.2, warmup_every_stage=True)

    optimizer, schedule = build()
    for _ in range(7):
        optimizer.step()
        schedule.step()
    again, resumed = build()
    again.load_state_dict(optimizer.state_dict())
    resumed.load_state_dict(schedule.state_dict())
    for _ in range(6):
        for item in (optimizer, schedule, again, resumed):
            item.step()
        assert again.param_groups[0]['lr'] == optimizer.param_groups[0]['lr']
    assert schedule.warmup_steps == [2, 2]
    assert schedule.rate(10) == 1e-7


@pytest.mark.parametrize(
    'options',
    [{'stages': []}, {'stages': [(0, 1.0)]}, {'warmup_iters': 5}, {'warmup_iters': 2, 'warmup_ratio': 0.1}]
    + [{'by_epoch': True}, {'begin': 3}],
)
def test_schedule_refuses(options):
    with pytest.raises(ValueError):
        StagedWarmupCosine(sgd(), **{'stages': [(5, 1.0)], **options})


def test_only_trainable_parameters_and_no_decay_for_vectors():
    model = toy()
    wrapper = build_optim_wrapper(model, config(constructor='TrainableParamsConstructor'))
    decay = {id(p): g['weight_decay'] for g in wrapper.optimizer.param_groups for p in g['params']}
    expected = {id(p): 0.05 if p.ndim > 1 else 0.0 for p in model.parameters() if p.requires_grad}
    assert decay == expected
    assert decay[id(model.contrastive_head.temperature)] == 0.0
    assert not {id(p) for p in model.backbone.parameters()} & set(decay)


def test_multipliers_by_prefix_work():
    model = toy()
    keys = {'layers': {'lr_mult': 0.1}, 'layers.3': {'lr_mult': 0.5, 'decay_mult': 0.0}}
    constructor = TrainableParamsConstructor(config(), {'custom_keys': keys})
    groups = constructor(model).optimizer.param_groups
    rates = {id(p): (g['lr'], g['weight_decay']) for g in groups for p in g['params']}
    assert rates[id(model.layers[0].weight)] == (pytest.approx(0.01), 0.05)
    assert rates[id(model.layers[3].weight)] == (pytest.approx(0.05), 0.0)
    assert rates[id(model.contrastive_head.temperature)] == (0.1, 0.0)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    wrapper = constructor(model)
    wrapper.update_params(sum(p.sum() for p in model.parameters() if p.requires_grad))
    moved = {name: (p.detach() - before[name]).abs().max().item() for name, p in model.named_parameters()}
    assert moved['backbone.linear.weight'] == 0
    assert moved['layers.0.bias'] == pytest.approx(0.01, rel=1e-3)  # Adam's first step is the rate
    assert moved['layers.3.bias'] == pytest.approx(0.05, rel=1e-3)


@pytest.mark.parametrize(
    ('paramwise', 'message'),
    [
        ({'custom_keys': {'layer': {'lr_mult': 0.1}}}, "Did you mean 'layers'"),
        ({'custom_keys': {'backbone': {'lr_mult': 0.1}}}, 'matches no trainable parameter'),
        ({'custom_keys': {'layers': {'lr_mul': 0.1}}}, "Did you mean 'lr_mult'"),
        ({'bias_lr_mult': 2}, "no 'bias_lr_mult'"),
    ],
)
def test_a_multiplier_that_arrives_nowhere_or_nothing_to_train_is_an_error(paramwise, message):
    with pytest.raises(ValueError, match=message):
        TrainableParamsConstructor(config(), paramwise)(toy())
    with pytest.raises(ValueError, match='no trainable parameter'):
        TrainableParamsConstructor(config())(toy().requires_grad_(False))


def wrap(parameter, **options):
    return AutocastOptimWrapper(torch.optim.SGD([parameter], lr=1.0), **options)


def test_clips_and_logs_the_norm():
    MessageHub.get_instance('test_norm')
    parameter = nn.Parameter(torch.zeros(2))
    wrap(parameter, clip_grad={'max_norm': 1.0}).update_params((parameter * torch.tensor([3.0, 4.0])).sum())
    torch.testing.assert_close(parameter.detach(), torch.tensor([-0.6, -0.8]))
    assert MessageHub.get_current_instance().get_scalar('train/grad_norm').current() == pytest.approx(5.0)


def test_accumulated_batches_equal_one_large_batch():
    data = torch.arange(8.0).reshape(4, 2)
    one, many = nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(2))
    wrap(one).update_params((data @ one).square().mean())
    accumulating = wrap(many, accumulative_counts=2)
    for half in data.chunk(2):
        accumulating.update_params((half @ many).square().mean())
    torch.testing.assert_close(one, many)


@pytest.mark.parametrize('bad', ['loss', 'gradient'])
def test_what_is_not_finite_changes_nothing(bad):
    parameter = nn.Parameter(torch.zeros(2))
    loss = (parameter + float('inf')).sum() if bad == 'loss' else parameter.sqrt().sum()
    with pytest.raises(NonFiniteLossError, match='gradient' if bad == 'gradient' else 'the loss is inf'):
        wrap(parameter).update_params(loss)
    assert torch.equal(parameter.detach(), torch.zeros(2))


def test_bfloat16_autocast_on_the_cpu_and_no_unknown_precision():
    layer = nn.Linear(4, 4)
    with wrap(layer.weight, dtype='bfloat16').optim_context(layer):
        assert layer(torch.ones(1, 4)).dtype == torch.bfloat16
    with wrap(layer.weight).optim_context(layer):
        assert layer(torch.ones(1, 4)).dtype == torch.float32
    with pytest.raises(ValueError, match="Did you mean 'bfloat16'"):
        wrap(nn.Parameter(torch.zeros(1)), dtype='bfloat')


@pytest.mark.skipif(torch.cuda.is_available(), reason='asks for a machine without GPU')
def test_refuses_float16_without_gpu():
    with pytest.raises(ValueError, match='needs a GPU'):
        wrap(nn.Parameter(torch.zeros(1)), dtype='float16')


@pytest.mark.skipif(not torch.cuda.is_available(), reason='asks for a GPU')
def test_float16_overflow_skips_the_step_and_lowers_the_scale():
    parameter = nn.Parameter(torch.ones(2, device='cuda'))
    wrapper = wrap(parameter, dtype='float16')
    scale = wrapper.scaler.get_scale()
    wrapper.update_params((parameter * 1e37).sum())
    assert torch.equal(parameter.detach().cpu(), torch.ones(2))
    assert wrapper.scaler.get_scale() < scale
    restored = wrap(nn.Parameter(torch.ones(2, device='cuda')), dtype='float16')
    restored.load_state_dict(wrapper.state_dict())
    assert restored.scaler.get_scale() == wrapper.scaler.get_scale()


def test_muon_orthogonalises_in_float32_on_a_cpu():
    """In bfloat16 singular values and vectors would be off by some 1e-2; in either the mean is near one."""
    torch.manual_seed(0)
    weight = nn.Parameter(torch.zeros(8, 4, dtype=torch.float64))
    weight.grad = torch.randn(8, 4, dtype=torch.float64)
    optimizer = Muon([weight], lr=1.0, weight_decay=0.0, nesterov=False, momentum=0.0)
    optimizer.step()
    left, _, right = torch.linalg.svd(weight.grad, full_matrices=False)
    aligned = left.mT @ weight.detach() @ right.mT
    off_diagonal = aligned - aligned.diagonal().diag()
    assert off_diagonal.abs().max() < 1e-4 * aligned.abs().max()
