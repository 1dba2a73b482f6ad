"""What the options of tools/test.py make of a config."""

import json

import pytest
from command_line import ROOT, load_tool, run_here
from mmengine.config import ConfigDict
from small_encoders import FRAMES, publish

from stgt_mm.engine.loops import RetrievalLoop
from stgt_mm.evaluation import DSL

tool = load_tool('test.py')


def applied(options, **test_cfg):
    cfg = ConfigDict(test_cfg={'type': RetrievalLoop, **test_cfg})
    tool.apply_options(cfg, tool.parse_args(['config.py', 'last.pth', *options]))
    return cfg.test_cfg


def test_options_reach_the_loop():
    assert applied([], rerank_k=3) == dict(type=RetrievalLoop, rerank_k=3)
    cfg = applied(['--dsl', '--qb-norm', 'bank.jsonl', '--skip-broken'])
    assert cfg.post_processors == [dict(type='DSL'), dict(type='QBNorm', bank='bank.jsonl')]
    assert cfg.skip_broken is True


def test_an_option_replaces_the_same_of_the_config_and_keeps_the_others():
    given = [dict(type=DSL, temperature=5.0), dict(type='QBNorm', bank='old.jsonl', beta=3.0)]
    found = applied(['--qb-norm', 'new.jsonl'], post_processors=given).post_processors
    assert found == [given[0], dict(type='QBNorm', bank='new.jsonl')]


def test_a_loop_without_the_option_is_named():
    for option, key in (('--dsl', 'post_processors'), ('--skip-broken', 'skip_broken')):
        with pytest.raises(ValueError, match=rf'TestLoop takes no {key}; use RetrievalLoop'):
            applied([option], type='TestLoop')


def test_published_weights_are_tested_as_they_are(small_moving_shapes, tmp_path, capfd):
    """Without a checkpoint; a model that is not whole is refused, and so is re-ranking by one that cannot."""
    publish('clip', tmp_path / 'clip')
    config, loader = ROOT / 'configs/baselines/clip4clip_vitb32_msrvtt.py', 'test_dataloader'
    options = [
        *(
            f'{key}={tmp_path / "clip"}'
            for key in ('model.backbone.pretrained', f'{loader}.dataset.pipeline.1.pretrained')
        ),
        f'model.data_preprocessor.tokenizer.pretrained={tmp_path / "clip"}',
        'model.data_preprocessor.tokenizer.max_length=None',
        f'{loader}.dataset.pipeline.0.num_frames={FRAMES}',
        f'{loader}.dataset.ann_file={small_moving_shapes / "test.jsonl"}',
        f'{loader}.dataset.video_root={small_moving_shapes / "videos"}',
        *(f'{loader}.{key}' for key in ('num_workers=0', 'persistent_workers=False')),
    ]
    out = tmp_path / 'results.json'
    arguments = ['--work-dir', tmp_path, '--out', out, '--cfg-options', *options]
    assert run_here('test.py', config, 'pretrained', *arguments) == 0
    result = json.loads(out.read_text())
    assert result['protocol']['rerank_k'] == 0 and str(tmp_path / 'clip') in result['protocol']['checkpoint']
    assert result['metrics']['t2v/R10'] > 0 and 'sim_t2v/R1' not in result['metrics']
    assert str(tmp_path / 'clip') in capfd.readouterr().out
    for option, words in (
        ('model.temporal_layers=1', 'needs a model that is whole as published'),
        ('test_cfg.rerank_k=8', 'DualEncoder has no matching head and does not re-rank'),
    ):
        assert run_here('test.py', config, 'pretrained', *arguments, option) == 2
        assert words in capfd.readouterr().err
