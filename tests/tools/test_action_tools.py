"""Tools around actions: features of videos, means of results, mAP from ActivityNet's files."""

import json
import shutil

import numpy as np
import pytest
import torch
from command_line import ROOT, run_here
from reduced import reduce_config

from stgt_mm.apis.base import clip_pipeline, read_clip
from stgt_mm.config import load_config
from stgt_mm.datasets import video_text_collate
from stgt_mm.registry import MODELS


@pytest.fixture(scope='module')
def probe(small_moving_shapes, tmp_path_factory):
    """A reduced classifier as config and checkpoint."""
    folder = tmp_path_factory.mktemp('probe')
    path = ROOT / 'configs/moving_shapes/action_linear.py'
    cfg = reduce_config(load_config(path), small_moving_shapes, folder)
    cfg.dump(str(folder / 'own.py'))
    model = MODELS.build(cfg.model).eval()
    torch.save({'state_dict': model.state_dict()}, folder / 'own.pth')
    return folder / 'own.py', folder / 'own.pth', model, clip_pipeline(cfg)


def test_features_are_those_of_the_windows_and_a_second_call_goes_on(
    probe, small_moving_shapes, tmp_path, capsys
):
    config, checkpoint, model, pipeline = probe
    videos, out = tmp_path / 'videos', tmp_path / 'features'
    videos.mkdir()
    for number in range(3):
        shutil.copy(small_moving_shapes / f'videos/video{number}.mp4', videos)
    (videos / 'damaged.mp4').write_bytes(b'no video')

    def extract(*more):
        options = ['--window-s', 1, '--stride-s', 0.5, '--num-workers', 0, '--device', 'cpu', *more]
        status = run_here('analysis_tools/extract_features.py', config, checkpoint, videos, out, *options)
        return status, capsys.readouterr()

    status, printed = extract('--batch-size', 2)
    assert status == 0 and '3 videos written, 0 were there' in printed.out
    assert '1 files cannot be read' in printed.out and 'damaged.mp4' in printed.out
    found, about = np.load(out / 'video1.npy'), json.loads((out / 'video1.json').read_text())
    assert about['windows'] == [[0, 1], [0.5, 1.5], [1, 2]] and about['seconds'] == 2
    assert found.dtype == np.float32 and found.shape == (3, 96)
    batch = video_text_collate([read_clip(pipeline, videos / 'video1.mp4', 0.5, 1.5)])
    with torch.no_grad():
        wanted = model.extract_tokens(model.data_preprocessor(batch, False)['inputs']).mean(dim=1)
    np.testing.assert_allclose(found[1], wanted[0].numpy(), rtol=1e-4, atol=1e-5)
    (out / 'video2.json').unlink()  # as a kill between the two files leaves it
    shutil.copy(small_moving_shapes / 'videos/video3.mp4', videos / 'video0.mp4')
    assert '2 videos written, 1 were there' in extract()[1].out
    shutil.copy(videos / 'video1.mp4', videos / 'video1.mkv')
    status, printed = extract()
    assert status == 2 and "several files are called 'video1'" in printed.err


def result(path, top1, number, **protocol):
    content = {
        'metrics': {'action/top1': top1, 'action/videos': 3783},
        'protocol': {'annotation': f'test_{number}.jsonl', 'views': '1 x 1', 'skipped_videos': 0, **protocol},
        'versions': {'torch': '2'},
        'checkpoint_sha256': f'c{number}',
        'annotation_sha256': f'a{number}',
        'paper': {'key': 'ucf101/s', 'table': 'S', 'setting': 'probe', 'action': {'top1': 94.8}},
    }
    path.write_text(json.dumps(content))
    return path


def test_three_splits_have_a_mean(tmp_path, capsys):
    files = [result(tmp_path / f's{n}.json', top1, n) for n, top1 in ((1, 90.0), (2, 92.0), (3, 97.0))]
    assert run_here('analysis_tools/average_results.py', *files) == 0
    lines = [[cell.strip() for cell in line.split('|')] for line in capsys.readouterr().out.splitlines()]
    assert lines[0][1:-1] == ['', 's1', 's2', 's3', 'mean', 'std', 'paper']
    assert lines[2][1:-1] == ['action/top1', '90.00', '92.00', '97.00', '93.00', '3.61', '94.8']
    for number, changed, words in (
        (1, {}, 'one checkpoint on one annotation'),
        (4, {'views': '10 x 3'}, "protocol differs in views: '1 x 1'"),
        (4, {'skipped_videos': 2}, 'leaves out 2 videos'),
    ):
        wrong = result(tmp_path / 'wrong.json', 90.0, number, **changed)
        assert run_here('analysis_tools/average_results.py', *files, wrong) == 2
        assert words in capsys.readouterr().err
    assert run_here('analysis_tools/average_results.py', files[0]) == 2
    assert 'two results at least' in capsys.readouterr().err


def test_map_of_activitynets_files(tmp_path, capsys):
    truth, detections = tmp_path / 'truth.json', tmp_path / 'found.json'
    segments = [{'label': 'run', 'segment': [0, 10]}]
    other = {'subset': 'training', 'annotations': [{'label': 'jump', 'segment': [0, 1]}]}
    database = {'a': {'subset': 'validation', 'annotations': segments}, 'b': other}
    truth.write_text(json.dumps({'database': database}))
    found = [{'label': 'run', 'score': 0.9, 'segment': [0, 7.6]}]
    detections.write_text(json.dumps({'results': {'v_a': found, 'b': found}}))
    assert run_here('analysis_tools/localisation_map.py', truth, detections) == 0
    printed = capsys.readouterr().out.split('\n')
    assert printed[0] == '1 segments of 1 videos, 1 detections'
    assert [line.split() for line in printed[6:8]] == [['mAP@0.75', '100.00'], ['mAP@0.8', '0.00']]
    assert printed[11].split() == ['mAP', '60.00']
    detections.write_text(json.dumps({'results': {'a': [{'label': 'run', 'segment': [0, 7]}]}}))
    for arguments, words in (
        ([truth, detections], "no 'score'"),
        ([truth, detections, '--subset', 'x'], "'x'"),
    ):
        assert run_here('analysis_tools/localisation_map.py', *arguments) == 2
        assert words in capsys.readouterr().err
