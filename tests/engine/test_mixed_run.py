"""A run on pictures and videos through the tool: steps of both, counts, and resume within an epoch."""

import json
import os

import numpy as np
import pytest
from command_line import ROOT
from engine_runs import load_tool
from PIL import Image

from stgt_mm.config import load_config
from stgt_mm.datasets.readers import write_video
from stgt_mm.engine.hooks.metrics_file_hook import read_metrics

pytestmark = pytest.mark.integration
WORDS = ('[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]', 'a', 'thing', *map(str, range(8)))


def source(folder, suffix, load, **options):
    return {
        'type': 'VideoTextDataset',
        'ann_file': str(folder / f'{suffix}.jsonl'),
        'video_root': str(folder),
        'pipeline': [load, {'type': 'Resize', 'size': 48}, {'type': 'PackVideoText'}],
        **options,
    }


@pytest.fixture(scope='module')
def config(tmp_path_factory):
    """The config for videos of one's own, at two frames, with pictures beside the videos."""
    folder = tmp_path_factory.mktemp('mixed')
    (folder / 'vocab.txt').write_text('\n'.join(WORDS))
    for number in range(8):
        colour = np.eye(3, dtype=np.uint8)[number % 3] * 200
        write_video(folder / f'{number}.mp4', np.broadcast_to(colour, (4, 48, 48, 3)), 4)
        Image.new('RGB', (48, 48), tuple(colour.tolist())).save(folder / f'{number}.jpg')
    (folder / '5.jpg').write_text('not found')
    for suffix in ('mp4', 'jpg'):
        rows = [{'video': f'{n}.{suffix}', 'text': f'a thing {n}'} for n in range(8)]
        (folder / f'{suffix}.jsonl').write_text('\n'.join(map(json.dumps, rows)))
    cfg = load_config(ROOT / 'configs/retrieval/custom_tiny.py')
    cfg.train_dataloader.batch_size = 2
    cfg.train_dataloader.dataset = {
        'type': 'MixedDataset',
        'sources': {
            'films': source(folder, 'mp4', {'type': 'LoadVideo', 'num_frames': 2}),
            'pictures': source(folder, 'jpg', {'type': 'LoadImage'}, max_retries=30),
        },
    }
    cfg.train_dataloader.batch_sampler = {'type': 'SourceBatchSampler', 'batch_sizes': {'pictures': 4}}
    cfg.model.data_preprocessor.tokenizer.vocab = str(folder / 'vocab.txt')
    cfg.val_dataloader = cfg.val_cfg = cfg.val_evaluator = None
    cfg.train_cfg = {'type': 'ResumableEpochLoop', 'max_epochs': 2}
    cfg.param_scheduler.stages = [(2, 1e-3)]
    cfg.default_hooks.checkpoint.update(interval_steps=1, max_keep_ckpts=None, save_best=None)
    cfg.dump(str(folder / 'mixed.py'))
    return folder / 'mixed.py'


def train(config, work_dir, *options):
    name = f'experiment_name=mixed{os.getpid()}_{len(options)}'
    arguments = [str(config), '--work-dir', str(work_dir), *options, '--cfg-options', name, 'log_level=ERROR']
    load_tool('train.py').main(arguments)
    return read_metrics(work_dir / 'metrics.jsonl')


def test_both_kinds_train_and_a_killed_run_goes_on(config, tmp_path):
    records = train(config, tmp_path)
    assert [record['step'] for record in records] == list(range(1, 13))  # 4 batches of films, 2 of pictures
    assert all(np.isfinite(record['loss']) and record['loss_vtg'] > 0 for record in records)
    counts = [record['replaced_clips'] for record in records]
    assert counts == sorted(counts)
    assert counts[5] >= 1 and counts[11] > counts[5]  # the broken picture comes once an epoch
    for path in tmp_path.glob('*.pth'):
        if path.name != 'iter_8.pth':
            path.unlink()
    again = train(config, tmp_path, '--resume')
    assert again == records
