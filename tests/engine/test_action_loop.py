"""The loop of action recognition: every view once, the protocol, broken clips."""

import json

import pytest
import torch
from fake_retrieval import StubRunner
from mmengine.evaluator import Evaluator
from mmengine.model import BaseModel
from PIL import Image
from test_answer_loop import Preprocessor

from stgt_mm.datasets import EpochSampler, VideoActionDataset, video_text_collate
from stgt_mm.engine.loops import ActionLoop
from stgt_mm.evaluation import VideoAccuracy

SHADES = {'dark': 10, 'grey': 120, 'light': 240}
PIPELINE = [{'type': 'LoadImage'}, {'type': 'SquareCrop', 'size': 8}, {'type': 'PackVideoText'}]


class Shades(BaseModel):
    """Tells the shade of a crop."""

    protocol = {'task': 'action', 'trained': ['action_head'], 'actions': 3}

    def __init__(self):
        super().__init__(data_preprocessor=Preprocessor())
        self.weight = torch.nn.Linear(1, 1)

    def forward(self, inputs, data_samples=None, mode='tensor'):
        return inputs

    def predict(self, inputs, data_samples):
        for sample, clip in zip(data_samples, inputs['video']):
            distance = (torch.tensor([float(shade) for shade in SHADES.values()]) - clip.mean()).abs()
            sample.probabilities = (-distance / 10).softmax(dim=0)
        return data_samples


@pytest.fixture
def folder(tmp_path):
    """Pictures of 8 x 24 px, of which two of three squares have the shade of the action."""
    lines = []
    for number in range(5):
        action = list(SHADES)[number % 3]
        picture = Image.new('L', (24, 8), SHADES[action])
        picture.paste(SHADES['grey'], (8, 0, 16, 8))
        picture.convert('RGB').save(tmp_path / f'v{number}.png')
        lines.append({'video': f'v{number}.png', 'action': action})
    (tmp_path / 'a.jsonl').write_text(''.join(json.dumps(line) + '\n' for line in lines))
    (tmp_path / 'actions.txt').write_text('\n'.join(SHADES))
    return tmp_path


def run(folder, views=(1, 1), **options):
    dataset = dict(
        type=VideoActionDataset,
        ann_file=folder / 'a.jsonl',
        video_root=folder,
        pipeline=PIPELINE,
        views=views,
    )
    config = dict(
        dataset=dataset,
        batch_size=2,
        sampler=dict(type=EpochSampler, shuffle=False),
        collate_fn=video_text_collate,
    )
    metric = VideoAccuracy(str(folder / 'actions.txt'))
    loop = ActionLoop(StubRunner(Shades()), config, Evaluator(metric), **options)
    return loop.run(), loop


def test_one_view_sees_the_middle_and_three_see_all(folder):
    metrics, loop = run(folder)
    assert metrics['action/top1'] == 40, 'the middle is grey: two of five'
    assert loop.protocol == {
        'split': 'val', 'annotation': str(folder / 'a.jsonl'), 'videos': 5, 'clips': 5, 'frames': 1,
        'skipped_clips': 0, 'skipped_videos': 0, 'task': 'action', 'trained': ['action_head'], 'actions': 3,
        'views': '1 segments x 1 crops, probabilities averaged', 'normalisation': [], 'precision': 'float32',
    }  # fmt: skip
    metrics, loop = run(folder, (1, 3))
    assert metrics['action/top1'] == 100 and metrics['action/videos'] == 5
    assert loop.protocol['clips'] == 15 and loop.protocol['videos'] == 5


def test_broken_videos_are_left_out_whole_and_counted(folder):
    (folder / 'v4.png').write_bytes(b'no picture')
    metrics, loop = run(folder, (1, 3), skip_broken=True)
    assert metrics['action/videos'] == 4 and metrics['skipped_videos'] == 1
    assert metrics['skipped_clips'] == 3 and loop.protocol['skipped_video_ids'] == ['v4']
