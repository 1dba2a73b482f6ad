"""Answers from Python and from the shell: those of the test tool, in every mode; what goes with what."""

import importlib.util
import json
from copy import deepcopy
from pathlib import Path

import pytest
import torch
from command_line import ROOT, run_here
from reduced import PAIRS, reduce_config

from stgt_mm.apis import VideoQuestionAnswererInferencer
from stgt_mm.apis.base import clip_pipeline, read_clip
from stgt_mm.apis.question_answerer import pair_up
from stgt_mm.config import load_config
from stgt_mm.datasets.readers import VideoReadError
from stgt_mm.engine.cli import run_tool
from stgt_mm.registry import MODELS


class Trained:
    """A reduced config and a checkpoint of it with large random weights, both as files."""

    def __init__(self, name, data, folder):
        self.cfg = reduce_config(load_config(ROOT / f'configs/{name}.py'), data, folder)
        self.config, self.checkpoint = str(folder / 'config.py'), str(folder / 'trained.pth')
        self.cfg.dump(self.config)
        torch.manual_seed(0)
        model = MODELS.build(self.cfg.model)
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.data += 0.3 * torch.randn_like(parameter)
        torch.save({'state_dict': model.state_dict()}, self.checkpoint)
        lines = Path(self.cfg.test_dataloader.dataset.ann_file).read_text().splitlines()
        self.records = [json.loads(line) for line in lines]
        root = Path(self.cfg.test_dataloader.dataset.video_root)
        self.videos = [str(root / record['video']) for record in self.records]
        self.questions = [record['question'] for record in self.records]


@pytest.fixture(scope='module')
def trained(small_moving_shapes, tmp_path_factory):
    made = {}

    def of(mode):
        name = 's_vilm/msvd_qa' if mode == 'two encoders' else f'moving_shapes/qa_{mode}'
        if mode not in made:
            made[mode] = Trained(name, small_moving_shapes, tmp_path_factory.mktemp('trained'))
        return made[mode]

    return of


@pytest.mark.parametrize('mode', ['classify', 'generate', 'rank', 'two encoders'])
def test_the_answer_is_that_of_the_test_tool(trained, mode, tmp_path):
    own, out = trained(mode), tmp_path / 'results.json'
    assert run_here('test.py', own.config, own.checkpoint, '--out', out, '--work-dir', tmp_path) == 0
    tested = json.loads(out.read_text())['predictions']
    ask = VideoQuestionAnswererInferencer(own.config, own.checkpoint, device='cpu')
    result = ask(own.videos, own.questions, k=3, batch_size=5)
    found = result['predictions']
    assert result['mode'] == mode.replace('two encoders', 'classify') and len(found) == PAIRS
    assert [p['answers'][0]['answer'] for p in found] == [row['prediction'] for row in tested]
    scores = [p['answers'][0]['score'] for p in found]
    assert scores == pytest.approx([row['score'] for row in tested], abs=1e-5)
    assert len(set(scores)) == PAIRS, 'clips and questions matter'
    for prediction in found:
        values = [pair['score'] for pair in prediction['answers']]
        assert len(values) == 3 and values == sorted(values, reverse=True)
    same = ask(own.videos[0], own.questions)['predictions']  # one clip, read once
    assert same[0]['answers'][0]['score'] == pytest.approx(scores[0], abs=1e-5)


def test_without_a_question_there_is_a_caption_or_a_reason(trained):
    own = trained('generate')
    cfg = deepcopy(own.cfg)
    ask = VideoQuestionAnswererInferencer(cfg, own.checkpoint, 'cpu')
    with pytest.raises(ValueError, match=r'answers questions: ask one.*prompt'):
        ask(own.videos[0])
    cfg.model.prompt = 'it shows'
    ask = VideoQuestionAnswererInferencer(cfg, own.checkpoint, 'cpu')
    (prediction,) = ask(own.videos[0], k=9)['predictions']
    assert prediction['question'] == '' and prediction['answers'][0]['answer']
    assert len(prediction['answers']) == 5, 'more beams would find another first answer'
    with pytest.raises(ValueError, match=r"no question, its prompt is 'it shows'"):
        ask(own.videos[0], 'what?')


def test_a_model_needs_a_checkpoint_and_must_answer(trained):
    own = trained('classify')
    with pytest.raises(ValueError, match='no checkpoint is named'):
        VideoQuestionAnswererInferencer(own.cfg)
    with pytest.raises(FileNotFoundError, match=r'no checkpoint at .*elsewhere'):
        VideoQuestionAnswererInferencer(own.cfg, 'elsewhere.pth')
    with pytest.raises(ValueError, match='does not fit VideoQuestionAnswerer'):
        VideoQuestionAnswererInferencer(trained('generate').cfg, own.checkpoint)


def test_videos_and_questions_are_paired():
    assert pair_up('a.mp4', ['x', 'y']) == [('a.mp4', 'x'), ('a.mp4', 'y')]
    assert pair_up([Path('a.mp4'), 'b.mp4'], 'x') == [('a.mp4', 'x'), ('b.mp4', 'x')]
    assert pair_up(['a.mp4', 'b.mp4'], ['x', 'y']) == [('a.mp4', 'x'), ('b.mp4', 'y')]
    for videos, questions in ((['a', 'b'], ['x', 'y', 'z']), ([], 'x'), ('a', [])):
        with pytest.raises(ValueError, match='as many questions as videos'):
            pair_up(videos, questions)


def test_a_moment_is_read_by_its_seconds(trained):
    own = trained('classify')
    video, pipeline = own.videos[0], clip_pipeline(own.cfg)
    whole = read_clip(pipeline, video)
    # 16 frames, 8 a second, of which the whole clip gives every other
    second_half = read_clip(pipeline, video, start=1.0)
    assert whole['data_samples'].frame_indices == tuple(range(0, 16, 2))
    assert second_half['inputs'][::2].equal(whole['inputs'][4:])
    first_half = read_clip(pipeline, video, end=1.0)
    assert first_half['inputs'][::2].equal(whole['inputs'][:4])
    assert read_clip(pipeline, video, 0.3, 0.31)['data_samples'].num_frames == 1
    with pytest.raises(VideoReadError, match=r'it ends at 2\.000 s'):
        read_clip(pipeline, video, start=2.0)
    with pytest.raises(ValueError, match='0 <= start < end'):
        read_clip(pipeline, video, 1.0, 0.5)
    with pytest.raises(ValueError, match='reads whole files only'):
        read_clip([lambda results: results], video, 0.5)


@pytest.fixture
def ask(monkeypatch, capsys):
    """The demo as a user calls it: exit status, what it prints and its errors."""
    spec = importlib.util.spec_from_file_location('ask', ROOT / 'demo/ask.py')
    demo = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(demo)

    def call(*arguments):
        return run_tool(demo.main, [str(argument) for argument in arguments]), *capsys.readouterr()

    return call


def test_demo_prints_a_table_for_each_question(trained, ask):
    own = trained('rank')
    model = ['--config', own.config, '--checkpoint', own.checkpoint, '--device', 'cpu']
    status, printed, errors = ask(
        '--video', own.videos[0], '--question', *own.questions[:2], '--k', 2, *model
    )
    assert status == 0, errors
    lines = [line.split() for line in printed.splitlines()]
    assert lines[0][:2] == ['mode:', 'rank,']
    assert [line[:2] for line in lines if line[:1] == ['1']] and sum(line[:1] == ['2'] for line in lines) == 2
    status, _, errors = ask('--video', own.videos[0], *model)
    assert status == 2 and 'ask one' in errors
    status, _, errors = ask('--video', ROOT / 'README.md', '--question', 'what?', *model)
    assert status == 2 and 'FFmpeg can open' in errors and 'repair it: ffmpeg -i' in errors
    status, _, errors = ask('--video', 'absent.mp4', '--question', 'what?', *model)
    assert status == 2 and 'absent.mp4: pyav: no such file' in errors and 'repair' not in errors


def test_demo_says_how_its_model_is_made(ask, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    status, _, errors = ask('--video', 'a.mp4', '--question', 'what?')
    assert status == 2
    for words in ('best_qa_accuracy.pth', 'tools/quickstart.py', 'tools/train.py configs/moving_shapes/qa_'):
        assert words in errors
