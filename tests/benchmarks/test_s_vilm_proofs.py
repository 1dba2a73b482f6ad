"""The direct proofs on a model of random weights: their numbers against counting by hand."""

import json

import pytest
import s_vilm_proofs
import torch
from command_line import ROOT

from stgt_mm.config import load_config, parse_overrides
from stgt_mm.engine.cli import run_tool
from stgt_mm.moving_shapes import masks, read_benchmark
from stgt_mm.registry import MODELS

CONFIG = ROOT / 'configs/moving_shapes/s_vilm_tiny.py'


def test_the_best_box_is_that_of_all_boxes():
    torch.manual_seed(0)
    seen = torch.zeros(6, 12, 16).bool()
    for frame in seen[:5]:
        top, left = (int(torch.randint(6, ())) for _ in range(2))
        frame[top : top + 5, left : left + 7] = True
    best = 0.0
    for top in range(0, 12, 4):
        for bottom in range(top + 4, 13, 4):
            for left in range(0, 16, 4):
                for right in range(left + 4, 17, 4):
                    box = torch.zeros(12, 16).bool()
                    box[top:bottom, left:right] = True
                    ratios = [(box & own).sum() / (box | own).sum() for own in seen[:5]]
                    best = max(best, float(sum(ratios)) / 5)
    assert s_vilm_proofs.best_box([seen[:3], seen[3:]]) == pytest.approx(best)


def test_phrases_have_the_masks_of_their_objects(small_moving_shapes):
    benchmark = read_benchmark(small_moving_shapes)
    clip = next(clip for clip in benchmark.of('test') if len(clip.meaning.objects) == 2)
    first, second = (f'{look.colour} {look.shape}' for look in clip.meaning.objects)
    record = {'video_id': clip.video_id, 'noun_phrases': [f'big {second}']}
    ((phrase, seen),) = s_vilm_proofs.nouns_of(record, benchmark)
    assert phrase == f'big {second}' and (seen == masks(clip)[1]).all()
    assert [phrase for phrase, _ in s_vilm_proofs.nouns_of({'video_id': clip.video_id}, benchmark)] == [
        first,
        second,
    ]
    with pytest.raises(ValueError, match="shows nothing that is called 'dog'"):
        s_vilm_proofs.nouns_of({**record, 'noun_phrases': ['dog']}, benchmark)


def test_both_proofs_from_a_checkpoint(small_moving_shapes, tmp_path, capsys):
    data, out = small_moving_shapes, tmp_path / 'proofs.json'
    options = [
        f'model.data_preprocessor.tokenizer.vocab={data}/vocab.txt',
        f'test_dataloader.dataset.ann_file={data}/test.jsonl',
        f'test_dataloader.dataset.video_root={data}/videos',
    ]
    torch.manual_seed(0)
    model = MODELS.build(load_config(CONFIG, parse_overrides(options)).model)
    torch.save({'state_dict': model.state_dict()}, tmp_path / 'model.pth')
    command = [CONFIG, tmp_path / 'model.pth', '--out', out, '--clips', 8, '--cfg-options', *options]
    assert run_tool(s_vilm_proofs.main, [str(word) for word in command]) == 0
    found = json.loads(out.read_text())
    regions, segments = found['regions'], found['segments']
    ways = ('noun head', 'contrast, group token', 'contrast, its patches', 'a group at random')
    most = regions['the most that patches can reach']['iou']
    for way in ways:
        assert 0 <= regions[way]['iou'] <= regions['the group that fits best']['iou'] < 1
    assert 0 < regions['the best constant box']['iou'] < most < 1
    assert set(segments) == set(s_vilm_proofs.MEASURES)
    assert segments['centres of the truth']['random features']['frames'] > 0.9, 'it is told too much'
    assert segments['without the frame']['random features']['frames'] < 0.75
    assert 'the best constant box' in capsys.readouterr().out
