"""The loop of captioning: every video once, options of the model's caption, the protocol."""

import json

import pytest
from fake_retrieval import StubRunner
from mmengine.evaluator import Evaluator
from PIL import Image
from test_answer_loop import PIPELINE, FakeAnswerer

from stgt_mm.datasets import EpochSampler, VideoCaptionDataset, video_text_collate
from stgt_mm.engine.loops import CaptionLoop
from stgt_mm.evaluation import CaptionMetric
from stgt_mm.registry import MODELS


@MODELS.register_module()
class FakeCaptioner(FakeAnswerer):
    protocol = {}

    def caption(self, inputs, num_beams=5, max_length=30):
        self.asked.append((num_beams, max_length))
        return [(f'a clip as bright as {int(clip.mean())}', -0.5) for clip in inputs['video']]


@pytest.fixture
def folder(tmp_path):
    pytest.importorskip('pycocoevalcap')
    lines = []
    for number in range(5):
        Image.new('RGB', (9, 9), (50 * number,) * 3).save(tmp_path / f'v{number}.png')
        texts = (f'a clip as bright as {50 * number}', 'something else')
        lines += [{'video': f'v{number}.png', 'text': text} for text in texts]
    (tmp_path / 'captions.jsonl').write_text(''.join(json.dumps(line) + '\n' for line in lines))
    return tmp_path


def make_loop(folder, model=None, **options):
    dataset = dict(
        type=VideoCaptionDataset, ann_file=folder / 'captions.jsonl', video_root=folder, pipeline=PIPELINE
    )
    config = dict(
        dataset=dataset, batch_size=2, sampler=dict(type=EpochSampler), collate_fn=video_text_collate
    )
    runner = StubRunner(model or FakeCaptioner())
    return CaptionLoop(runner, config, Evaluator(CaptionMetric()), **options)


def test_every_video_is_captioned_once(folder):
    loop = make_loop(folder, generation={'num_beams': 2})
    metrics = loop.run()
    assert metrics['caption/BLEU-4'] == pytest.approx(100) and loop.model.asked == [(2, 30)] * 3
    rows = loop.evaluator.metrics[0].predictions
    assert [row['video_id'] for row in rows] == [f'v{number}' for number in range(5)]
    assert rows[3]['prediction'] == 'a clip as bright as 150' == rows[3]['references'][0]
    assert loop.protocol == {
        'split': 'val', 'annotation': str(folder / 'captions.jsonl'), 'videos': 5, 'frames': 1,
        'skipped_videos': 0, 'task': 'caption', 'num_beams': 2, 'max_length': 30,
        'normalisation': [CaptionMetric.normalisation], 'precision': 'float32',
    }  # fmt: skip


def test_broken_videos_are_left_out_and_counted(folder):
    (folder / 'v4.png').write_bytes(b'no picture')
    loop = make_loop(folder, skip_broken=True)
    metrics = loop.run()
    assert metrics['skipped_videos'] == 1 and loop.protocol['videos'] == 4
    assert loop.protocol['skipped_video_ids'] == ['v4']


def test_wrong_options_and_models_are_named(folder):
    with pytest.raises(ValueError, match=r"FakeCaptioner takes no beams.*'num_beams'"):
        make_loop(folder, generation={'beams': 2})
    with pytest.raises(ValueError, match='FakeAnswerer cannot caption'):
        make_loop(folder, FakeAnswerer())
