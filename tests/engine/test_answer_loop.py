"""The loop of question answering: every question, two processes, broken clips, protocol, a real runner."""

import json

import pytest
import torch
from fake_retrieval import StubRunner
from gloo_pair import in_two_processes
from mmengine.evaluator import Evaluator
from mmengine.model import BaseDataPreprocessor, BaseModel
from mmengine.runner import Runner
from PIL import Image
from torch.utils.data import DataLoader

from stgt_mm.datasets import EpochSampler, VideoQADataset, video_text_collate
from stgt_mm.engine.loops import AnswerLoop
from stgt_mm.evaluation import BrokenVideosError, VideoQAMetric
from stgt_mm.registry import MODELS

WORDS = ['black', 'grey', 'white']
SHADES = [0, 120, 250]
PIPELINE = [{'type': 'LoadImage'}, {'type': 'Resize', 'size': 8}, {'type': 'PackVideoText'}]


class Preprocessor(BaseDataPreprocessor):
    def forward(self, data, training=False):
        return {'inputs': {'video': data['inputs'].float()}, 'data_samples': data['data_samples']}


@MODELS.register_module()
class FakeAnswerer(BaseModel):
    """Answers with the shade of the clip: right, but for questions that ask for something else."""

    def __init__(self):
        super().__init__(data_preprocessor=Preprocessor())
        self.weight = torch.nn.Linear(1, 1)
        self.asked, self.modes = [], set()

    @property
    def protocol(self):
        return {'mode': 'classify', 'prompt': '{question}'}

    def forward(self, inputs, data_samples=None, mode='tensor'):
        return self.predict(inputs, data_samples)

    def predict(self, inputs, data_samples):
        self.asked += [sample.question_id for sample in data_samples]
        self.modes.add((self.training, torch.is_autocast_enabled('cpu')))
        for sample, clip in zip(data_samples, inputs['video']):
            sample.prediction = WORDS[int((torch.tensor(SHADES) - clip.mean()).abs().argmin())]
            sample.score, sample.mode = 0.5, 'classify'
        return data_samples


@pytest.fixture
def folder(tmp_path):
    lines = []
    for number in range(7):
        shade = SHADES[number % 3]
        Image.new('RGB', (9, 9), (shade,) * 3).save(tmp_path / f'v{number}.png')
        line = {'video': f'v{number}.png', 'answer': WORDS[number % 3]}
        lines += [line | {'question': 'what colour?'}, line | {'question': 'who is it?', 'answer': 'nobody'}]
    (tmp_path / 'qa.jsonl').write_text(''.join(json.dumps(line) + '\n' for line in lines))
    return tmp_path


def loader_config(folder, batch_size=3, **options):
    dataset = dict(type=VideoQADataset, ann_file=folder / 'qa.jsonl', video_root=folder, pipeline=PIPELINE)
    sampler = dict(type=EpochSampler, shuffle=False)
    return dict(
        dataset=dataset | options, batch_size=batch_size, sampler=sampler, collate_fn=video_text_collate
    )


def make_loop(folder, batch_size=3, data=None, metric=None, **options):
    runner = StubRunner(FakeAnswerer().train())
    config = loader_config(folder, batch_size, **(data or {}))
    return AnswerLoop(runner, config, Evaluator(metric or VideoQAMetric()), **options)


def test_every_question_is_answered_once(folder):
    loop = make_loop(folder)
    metrics = loop.run()
    assert loop.model.asked == [f'v{n}#{q}' for n in range(7) for q in (0, 1)]
    assert metrics['qa/accuracy'] == 50 and metrics['qa/what'] == 100 and metrics['qa/who'] == 0
    assert loop.model.modes == {(False, False)} and loop.model.training
    called = loop.runner.called
    assert called[:2] == ['before_val', 'before_val_epoch'] and called[-2:] == [
        'after_val_epoch',
        'after_val',
    ]
    assert called.count('before_val_iter') == called.count('after_val_iter') == 5
    assert loop.protocol == {
        'split': 'val', 'annotation': str(folder / 'qa.jsonl'), 'videos': 7, 'questions': 14, 'frames': 1,
        'skipped_questions': 0, 'skipped_videos': 0, 'mode': 'classify', 'prompt': '{question}',
        'normalisation': ['basic'], 'precision': 'float32',
    }  # fmt: skip
    assert loop.run() == metrics == make_loop(folder, batch_size=14).run()


def test_autocast_is_in_force_and_said(folder):
    loop = make_loop(folder, amp=True)
    loop.run()
    assert loop.model.modes == {(False, True)} and loop.protocol['precision'] == 'bfloat16'
    with pytest.raises(ValueError, match="amp='int8'"):
        make_loop(folder, amp='int8')


def run_part(folder):
    loop = make_loop(folder, skip_broken=True)
    return [loop.run(), loop.protocol, len(loop.model.asked)]


def test_two_processes_find_the_numbers_of_one(folder, tmp_path):
    (folder / 'v4.png').write_bytes(b'no picture')
    results = in_two_processes(run_part, tmp_path, folder)
    expected = run_part(folder)
    assert [result[:2] for result in results] == [expected[:2]] * 2
    assert sum(result[2] for result in results) == expected[2] == 12


def test_broken_clips_stop_it_or_are_left_out_and_counted(folder):
    (folder / 'v1.png').write_bytes(b'no picture')
    (folder / 'v6.png').unlink()
    with pytest.raises(BrokenVideosError, match=r'(?s)1 of 7 .*v6\.png.*--skip-broken'):
        make_loop(folder)
    loop = make_loop(folder, batch_size=2, skip_broken=True)
    metrics = loop.run()
    assert metrics['skipped_questions'] == 4 and metrics['skipped_videos'] == 2
    assert metrics['qa/questions/all'] == 10 and metrics['qa/what'] == 100
    assert loop.protocol['skipped_video_ids'] == ['v1', 'v6'] and loop.protocol['questions'] == 10
    Image.new('RGB', (9, 9)).save(folder / 'v6.png')
    with pytest.raises(BrokenVideosError, match=r'(?s)1 of 7 .*v1\.png'):
        make_loop(folder).run()
    for number in range(7):
        (folder / f'v{number}.png').write_bytes(b'no picture')
    with pytest.raises(BrokenVideosError, match='7 of 7'):
        make_loop(folder, skip_broken=True).run()


def test_data_that_would_falsify_a_result_are_refused(folder):
    with pytest.raises(ValueError, match=r"missing='skip'.*--skip-broken"):
        make_loop(folder, data={'missing': 'skip'})
    with pytest.raises(ValueError, match='puts another clip in the place of a broken one'):
        make_loop(folder, data={'collect_broken': False}).run()
    loop = make_loop(folder)
    loop.dataloader = DataLoader(
        loop.dataloader.dataset, batch_size=4, collate_fn=video_text_collate, drop_last=True
    )
    with pytest.raises(ValueError, match='left out 2 of 14 questions, the first is number 12'):
        loop.run()


@pytest.mark.parametrize('mode', ['val', 'test'])
def test_runs_under_a_real_runner_from_configs(folder, tmp_path, mode):
    runner = Runner(
        model={'type': 'FakeAnswerer'},
        work_dir=str(tmp_path / 'run'),
        default_scope='stgt_mm',
        experiment_name=f'answers-{mode}-{tmp_path.name}',
        **{
            f'{mode}_dataloader': loader_config(folder) | {'num_workers': 0},
            f'{mode}_evaluator': {'type': 'VideoQAMetric', 'normalisation': 'vqa'},
            f'{mode}_cfg': {'type': 'AnswerLoop'},
        },
    )
    metrics = getattr(runner, mode)()
    assert metrics == make_loop(folder, metric=VideoQAMetric('vqa')).run()
    protocol = getattr(runner, f'{mode}_loop').protocol
    assert protocol['split'] == mode and protocol['normalisation'] == ['vqa']
