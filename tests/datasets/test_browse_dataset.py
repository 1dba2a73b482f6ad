import numpy as np
import pytest
import torch
from command_line import ROOT, run_here
from PIL import Image

from stgt_mm.datasets.readers import write_video
from stgt_mm.visualization.contact_sheet import contact_sheet


def test_sheet_shows_frames_and_text(tmp_path):
    clip = torch.zeros(2, 3, 4, 8, dtype=torch.uint8)
    clip[0, 0], clip[1, 1] = 255, 255
    path = contact_sheet([clip, clip], ['one line', 'a longer text ' * 30], tmp_path / 'new' / 's.png', 64)
    sheet = np.asarray(Image.open(path))
    assert (sheet[8:40, 8:72] == [255, 0, 0]).all() and (sheet[8:40, 74:138] == [0, 255, 0]).all()
    words = sheet[44:60]
    assert (words.min(axis=2) < 128).any()
    with pytest.raises(ValueError, match='1 clips and 2 texts'):
        contact_sheet([clip], ['a', 'b'], tmp_path / 's.png')
    with pytest.raises(ValueError, match='float32'):
        contact_sheet([clip.float()], ['a'], tmp_path / 's.png')


def test_commands_from_csv_to_sheet(tmp_path, capsys):
    for clip in range(2):
        frames = np.full((6, 32, 32, 3), 40 + 100 * clip, dtype=np.uint8)
        write_video(tmp_path / f'v{clip}.mp4', frames, 6)
    (tmp_path / 'c.csv').write_text('video,caption\nv0.mp4,dark\nv1.mp4,light\nv1.mp4,bright\n')
    annotations = tmp_path / 'a.jsonl'
    convert = ['dataset_converters/custom.py', tmp_path / 'c.csv', annotations, '--video-root']
    assert run_here(*convert, tmp_path) == 0
    assert 'Wrote 3 captions of 2 videos' in capsys.readouterr().out
    loading = {'type': 'LoadVideo', 'num_frames': 3}
    pipeline = [loading, {'type': 'Resize', 'size': 16}, {'type': 'PackVideoText'}]
    dataset = {'type': 'RetrievalDataset', 'ann_file': str(annotations), 'video_root': str(tmp_path)}
    config = tmp_path / 'config.py'
    config.write_text(f'test_dataloader = { ({"dataset": {**dataset, "pipeline": pipeline}})!r}\n')
    tool, out = 'visualization/browse_dataset.py', tmp_path / 'sheet.png'
    assert run_here(tool, config, '--split', 'test', '--out', out) == 0
    assert '2 of 2 test clips' in capsys.readouterr().out
    left = np.asarray(Image.open(out))[20, 20]
    assert abs(int(left[0]) - 40) < 8
    assert run_here(tool, config, '--split', 'val') == 2
    assert 'no val_dataloader' in capsys.readouterr().err
    assert run_here(*convert, ROOT / 'docs') == 2
    assert 'none of the 2 videos' in capsys.readouterr().err
