"""What the options of tools/test.py make of a config."""

import pytest
from command_line import load_tool
from mmengine.config import ConfigDict

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
