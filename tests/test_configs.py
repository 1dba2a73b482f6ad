"""Every config of the tree: loads, binds, dumps and loads again, trains one step and validates."""

import math
from pathlib import Path

import pytest
from reduced import reduce_config

from stgt_mm.config import load_config
from stgt_mm.config_check import validate_config
from stgt_mm.engine.cli import build_runner

ROOT = Path(__file__).parents[1]
CONFIGS = sorted(p for p in (ROOT / 'configs').rglob('*.py') if '_base_' not in p.parts)
NAMES = [str(path.relative_to(ROOT)) for path in CONFIGS]


def test_all_configs_are_found():
    assert {'configs/moving_shapes/stgt_tiny.py', 'configs/retrieval/custom_tiny.py'} <= set(NAMES)


@pytest.mark.parametrize('path', CONFIGS, ids=NAMES)
def test_config_binds_and_survives_a_dump(path, tmp_path):
    cfg = load_config(str(path), {})
    validate_config(cfg)
    assert path.read_text().startswith('"""'), 'a config says what it reproduces'
    assert len(path.read_text().splitlines()) <= 80
    cfg.dump(str(tmp_path / 'dumped.py'))
    again = load_config(str(tmp_path / 'dumped.py'), {})
    validate_config(again)
    assert again.model.to_dict() == load_config(str(path), {}).model.to_dict()


@pytest.mark.parametrize('path', CONFIGS, ids=NAMES)
def test_config_trains_a_step_and_validates(path, small_moving_shapes, tmp_path):
    cfg = reduce_config(path, small_moving_shapes, tmp_path)
    runner = build_runner(cfg)
    before = {name: value.clone() for name, value in runner.model.state_dict().items()}
    runner.train()
    assert runner.iter == 1
    losses = [
        runner.message_hub.get_scalar(f'train/{key}').current() for key in ('loss', 'loss_vtm', 'loss_vtg')
    ]
    assert all(map(math.isfinite, losses))
    after = runner.model.state_dict()
    trained = dict(runner.model.named_parameters())
    for name, value in before.items():
        if name.startswith('backbone.'):
            assert value.equal(after[name]), f'{name}: a frozen weight changed'
    changed = [name for name, p in trained.items() if p.requires_grad and not before[name].equal(after[name])]
    assert len(changed) > 0.9 * sum(p.requires_grad for p in trained.values())
