"""Running a config at its real size: here the tiny one, with what the tool says and refuses."""

import json

import pytest
from command_line import ROOT, run_here
from full_size_check import generate_clips, point_at, train_step, use_random_weights

from stgt_mm.config import load_config

TINY = ROOT / 'configs/moving_shapes/stgt_tiny.py'
FULL = ROOT / 'configs/retrieval/msrvtt_zeroshot.py'
TOOL = '../benchmarks/full_size_check.py'


@pytest.fixture
def vocab(small_moving_shapes):
    return f'model.data_preprocessor.tokenizer.vocab={small_moving_shapes}/vocab.txt'


def test_scores_and_trains_and_says_where_time_went(vocab, capfd):
    assert run_here(TOOL, TINY, '--only', 'test', '--cfg-options', vocab) == 0
    printed = capfd.readouterr().out
    assert 'scoring clips against captions' in printed and 't2v/R1' in printed
    assert all(part in printed for part in ('build', 'decode', 'backbone', 'neck', 'Q-Former', 're-rank'))
    assert run_here(TOOL, TINY, '--only', 'train', '--batch-size', 3, '--cfg-options', vocab) == 0
    printed = capfd.readouterr().out
    assert 'a training step of 3 pairs' in printed and 'loss_vtm' in printed
    assert all(part in printed for part in ('backward', 'optimizer', 'heads, losses'))


def test_memory_over_the_limit_is_a_failure(vocab, capfd):
    arguments = ['--only', 'train', '--train-gib', '0.01', '--cfg-options', vocab]
    assert run_here(TOOL, TINY, *arguments) == 2
    assert 'more memory than the limit: train' in capfd.readouterr().err


def test_missing_weights_stay_an_error(capfd, tmp_path):
    """Random weights are asked for; nothing falls back to them."""
    assert run_here(TOOL, FULL, '--only', 'test') == 2
    assert "no weights at 'weights/eva_vit_g.safetensors'" in capfd.readouterr().err
    cfg = load_config(FULL)
    cfg.load_from = 'trained.pth'
    assert use_random_weights(cfg) == ['weights/eva_vit_g.safetensors', 'trained.pth']
    assert cfg.model.backbone.checkpoint is None and cfg.load_from is None


def test_the_step_wants_enough_pairs(vocab, tmp_path):
    key, _, value = vocab.partition('=')
    cfg = load_config(TINY, {key: value})
    clips = generate_clips(tmp_path, 2, size=64, frames=9)
    assert len(json.loads(clips[0].read_text().splitlines()[0])['text'].split()) == 7
    point_at(cfg, *clips)
    cfg.work_dir = str(tmp_path)
    with pytest.raises(ValueError, match='has 2 pairs, a step wants 3'):
        train_step(cfg, 3)
