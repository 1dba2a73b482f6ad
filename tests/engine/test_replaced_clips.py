"""What goes wrong with files in loader workers is counted in the training process."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
from mmengine.logging import MessageHub
from torch.utils.data import DataLoader

from stgt_mm.datasets import VideoTextDataset, video_text_collate
from stgt_mm.datasets.readers import VideoReadError, write_video
from stgt_mm.engine.hooks import ReplacedClipsHook
from stgt_mm.registry import READERS


@pytest.fixture
def moody_reader():
    @READERS.register_module(name='moody', force=True)
    class Moody:
        def __init__(self, path, exact=True):
            raise VideoReadError(path, 'in no mood')

    yield
    READERS.module_dict.pop('moody')


@pytest.mark.usefixtures('moody_reader')
def test_failures_of_readers_in_workers_reach_the_metrics(tmp_path):
    write_video(tmp_path / 'a.mp4', np.full((4, 32, 32, 3), 90, np.uint8), 4)
    (tmp_path / 'b.mp4').write_bytes(b'no video')
    lines = [{'video': f'{name}.mp4', 'text': name} for name in 'ab']
    (tmp_path / 'a.jsonl').write_text('\n'.join(map(json.dumps, lines)))
    load = {'type': 'LoadVideo', 'num_frames': 2, 'reader': ['moody', 'pyav']}
    data = VideoTextDataset(tmp_path / 'a.jsonl', tmp_path, [load, {'type': 'PackVideoText'}], max_retries=50)
    (batch,) = DataLoader(data, batch_size=2, num_workers=1, collate_fn=video_text_collate)
    tried = len(batch['data_samples'][1].replaced)
    assert tried >= 1
    assert [sample.failed_readers for sample in batch['data_samples']] == [('moody',), ('moody',)]

    hook = ReplacedClipsHook()
    runner = SimpleNamespace(message_hub=MessageHub.get_instance(f'replaced-{tmp_path.name}'))
    for step in (1, 2):
        outputs = {}
        hook.after_train_iter(runner, 0, batch, outputs)
        assert outputs == {'replaced_clips': tried * step, 'failed_readers': 2 * step}
