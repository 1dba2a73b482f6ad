"""The tools that draw what models do, on tiny models with random weights."""

import json
import re

import pytest
import torch
from command_line import ROOT, run_here
from PIL import Image

from stgt_mm.config import load_config, parse_overrides
from stgt_mm.registry import MODELS

CONFIGS = ('stgt_tiny', 'qa_classify', 's_vilm_tiny')
ALIGNER, ANSWERER, GROUPED = (ROOT / f'configs/moving_shapes/{name}.py' for name in CONFIGS)


@pytest.fixture(scope='module')
def drawn(small_moving_shapes, tmp_path_factory):
    """Runs a tool with a model of random weights, and returns its picture."""
    folder, data = tmp_path_factory.mktemp('pictures'), small_moving_shapes
    few = folder / 'few.jsonl'
    few.write_text(''.join((data / 'test.jsonl').read_text().splitlines(keepends=True)[:4]))
    shared = [f'model.data_preprocessor.tokenizer.vocab={data}/vocab.txt']
    shared += ['test_dataloader.dataset.pipeline.0.num_frames=3']
    test = [f'test_dataloader.dataset.ann_file={few}', f'test_dataloader.dataset.video_root={data}/videos']
    test += ['test_dataloader.num_workers=0', 'test_cfg.choices=None', 'test_cfg.rerank_k=2']
    answers = ['model.checkpoint=None', f'model.answer_head.vocabulary={data}/answers.txt']
    options = {ALIGNER: shared, ANSWERER: shared + answers, GROUPED: shared}

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
def video(small_moving_shapes):
    return (
        small_moving_shapes
        / 'videos'
        / json.loads((small_moving_shapes / 'test.jsonl').open().readline())['video']
    )


def test_a_token_and_the_pooling(drawn, video, capsys):
    picture = drawn('graph_links', ALIGNER, video, '--frame', 2, '--point', 0.2, 0.9)
    assert 'tokens (frame, row, column) (2, 5, 1)' in capsys.readouterr().out
    at_h = drawn(
        'graph_links', ALIGNER, video, '--thresholds', 0.1, 0.8, '--point', 0, 0, '--point', 0.5, 0.5
    )
    assert at_h.height < picture.height and '(1, 0, 0), (1, 3, 3)' in capsys.readouterr().out
    assert drawn('pooling', ALIGNER, video).height < picture.height
    assert drawn('graph_links', ALIGNER, video, '--point', 0.5, 1) == 2
    assert 'below 1' in capsys.readouterr().err


def test_retrieval_side_by_side(drawn, capsys):
    assert drawn('retrieval', ALIGNER, '--direction', 'v2t', '--queries', 3, against=True).width > 1000
    assert re.search('query 3: the right item at rank [1-4] and [1-4]', capsys.readouterr().out)


def test_answers_side_by_side(drawn, video, capsys):
    asked = ['--ask', video, 'which shape moves left?', 'square', '--ask', video, 'what colour is it?']
    assert drawn('answers', ANSWERER, *asked, against=True).width > 1000
    assert drawn('answers', ALIGNER, *asked, against=True) == 2
    assert 'VideoTextAligner, which answers no questions' in capsys.readouterr().err


def test_regions_of_nouns(drawn, video, capsys):
    one = drawn('noun_grounding', GROUPED, video, '--phrases', 'red circle')
    assert re.search(r'by the noun head \(red circle: [0-7]\)', capsys.readouterr().out)
    two = drawn('noun_grounding', GROUPED, video, '--phrases', 'red circle', 'ring')
    assert two.width == one.width and two.height > one.height
    assert drawn('noun_grounding', ALIGNER, video, '--phrases', 'ring') == 2
    assert 'this model is a VideoTextAligner on TimmViT' in capsys.readouterr().err


def test_a_pasted_segment(drawn, video, small_moving_shapes, capsys):
    other = small_moving_shapes / 'videos' / 'video0.mp4'
    for config in (GROUPED, ALIGNER):  # any aligner whose tokens stand frame by frame
        assert drawn('temporal_grouping', config, video, other).width > 500
        assert re.search(r'of 3 time steps right: \$a_t\$ [1-3], without [0-3]', capsys.readouterr().out)
