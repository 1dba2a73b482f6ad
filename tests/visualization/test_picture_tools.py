"""The tools that draw what models do, on tiny models with random weights."""

import json

import pytest
import torch
from command_line import ROOT, run_here
from PIL import Image

from stgt_mm.config import load_config, parse_overrides
from stgt_mm.registry import MODELS

ALIGNER, ANSWERER = (ROOT / f'configs/moving_shapes/{name}.py' for name in ('stgt_tiny', 'qa_classify'))


@pytest.fixture(scope='module')
def drawn(small_moving_shapes, tmp_path_factory):
    """Runs a tool with a model of random weights, and returns its picture."""
    folder, data = tmp_path_factory.mktemp('pictures'), small_moving_shapes
    shared = [f'model.data_preprocessor.tokenizer.vocab={data}/vocab.txt']
    test = [
        f'test_dataloader.dataset.ann_file={data}/test.jsonl',
        f'test_dataloader.dataset.video_root={data}/videos',
    ]
    test += ['test_dataloader.num_workers=0', 'test_cfg.choices=None', 'test_cfg.rerank_k=3']
    answers = ['model.checkpoint=None', f'model.answer_head.vocabulary={data}/answers.txt']
    options = {ALIGNER: shared, ANSWERER: shared + answers}

    def checkpoint(config, seed):
        torch.manual_seed(seed)
        model = MODELS.build(load_config(config, parse_overrides(options[config])).model)
        torch.save({'state_dict': model.state_dict()}, folder / f'{seed}.pth')
        return folder / f'{seed}.pth'

    def run(tool, config, *arguments, against=False):
        second = ['--against', config, checkpoint(config, 1)] if against else []
        own = options[config] + (test if tool == 'retrieval' else [])
        out = folder / 'picture.png'
        out.unlink(missing_ok=True)
        command = [config, checkpoint(config, 0), *arguments, *second, '--out', out, '--cfg-options', *own]
        status = run_here(f'visualization/{tool}.py', *command)
        return Image.open(out) if status == 0 else status

    return run


@pytest.fixture(scope='module')
def videos(small_moving_shapes):
    return [small_moving_shapes / 'videos' / record['video'] for record in records(small_moving_shapes)]


def records(data):
    return [json.loads(line) for line in (data / 'test.jsonl').read_text().splitlines()]


def test_a_token_and_the_pooling(drawn, videos, capsys):
    picture = drawn('graph_links', ALIGNER, videos[0], '--frame', 3, '--point', 0.2, 0.9)
    assert picture.width > 1500 and 'tokens (frame, row, column) (3, 5, 1)' in capsys.readouterr().out
    wide = drawn(
        'graph_links', ALIGNER, videos[0], '--thresholds', 0.1, 0.8, '--point', 0, 0, '--point', 0.5, 0.5
    )
    assert wide.height < picture.height and '(4, 0, 0), (4, 3, 3)' in capsys.readouterr().out
    assert drawn('pooling', ALIGNER, videos[0]).height < picture.height
    assert drawn('graph_links', ALIGNER, videos[0], '--point', 0.5, 1) == 2
    assert 'below 1' in capsys.readouterr().err


def test_retrieval_side_by_side(drawn, small_moving_shapes, capsys):
    assert drawn('retrieval', ALIGNER, '--queries', 4, against=True).width > 1000
    assert 'query 4: the right item at rank' in capsys.readouterr().out
    assert drawn('retrieval', ALIGNER, '--direction', 'v2t', against=True).width > 1000
    assert drawn('retrieval', ALIGNER, '--queries', 99, against=True) == 2
    assert f'there are {len(records(small_moving_shapes))}' in capsys.readouterr().err


def test_answers_side_by_side(drawn, videos, capsys):
    asked = [
        '--ask',
        videos[0],
        'which shape moves left?',
        'square',
        '--ask',
        videos[1],
        'what colour is it?',
    ]
    assert drawn('answers', ANSWERER, *asked, against=True).width > 1000
    assert drawn('answers', ALIGNER, *asked, against=True) == 2
    assert 'VideoTextAligner, which answers no questions' in capsys.readouterr().err
