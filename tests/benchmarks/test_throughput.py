"""Videos a second: the scores are those of the model, every part is timed, the tool runs on any clips."""

import sys

import pytest
import torch
from benchmark_throughput import measure_throughput
from command_line import ROOT, run_here

from stgt_mm.structures import VideoTextSample

sys.path.insert(0, str(ROOT / 'tests' / 'models'))
from tiny_aligner import NECKS, TEXTS, build_aligner, write_vocab

TINY = ROOT / 'configs/moving_shapes/stgt_tiny.py'
TOOL = '../benchmarks/benchmark_throughput.py'


class Clips(torch.utils.data.Dataset):
    def __len__(self):
        return 5

    def __getitem__(self, index):
        generator = torch.Generator().manual_seed(index)
        clip = torch.randint(0, 256, (3, 3, 16, 16), generator=generator, dtype=torch.uint8)
        return {'inputs': clip, 'data_samples': VideoTextSample(metainfo={'video_id': str(index)})}


@pytest.mark.parametrize('neck', NECKS)
def test_scores_are_those_of_the_model(neck, tmp_path):
    model = build_aligner(write_vocab(tmp_path), neck).float().eval()
    found = measure_throughput(model, Clips(), TEXTS, candidates=3, batch_size=2)
    assert found.logits.shape == (2, 3, 2)
    with torch.no_grad():
        clips = torch.stack([Clips()[index]['inputs'] for index in (2, 3)])
        features = model.encode_video({'video': model.data_preprocessor.normalise(clips)})
        ids, mask = model.data_preprocessor.tokenize(TEXTS)
        best = model.similarity(features.queries, model.encode_text(ids, mask)).topk(3, dim=1).indices
        for video in range(2):
            given = model.qformer.project_video(features.tokens[video : video + 1])
            for place, text in enumerate(best[video]):
                alone = model.qformer.fuse(given, ids[text][None, None], mask[text][None, None])
                expected = model.matching_head(alone)[0, 0]
                torch.testing.assert_close(found.logits[video, place], expected, atol=1e-4, rtol=1e-4)
    assert list(found.wall) == ['decode', 'prepare', 'backbone', 'neck', 'Q-Former', 're-rank']
    assert all(seconds > 0 for seconds in found.wall.values()) and found.captions > 0


def test_there_must_be_batches_to_measure(tmp_path):
    model = build_aligner(write_vocab(tmp_path)).float().eval()
    with pytest.raises(ValueError, match='5 videos are 2 batches of 2, of which 2 warm up'):
        measure_throughput(model, Clips(), TEXTS, candidates=9, batch_size=2, warm_up=2)
    assert measure_throughput(model, Clips(), TEXTS, 9, batch_size=5, warm_up=0).candidates == len(TEXTS)


def test_tool(small_moving_shapes, capfd):
    data = ['--ann-file', small_moving_shapes / 'test.jsonl', '--video-root', small_moving_shapes / 'videos']
    vocab = f'model.data_preprocessor.tokenizer.vocab={small_moving_shapes}/vocab.txt'
    arguments = ['--videos', 3, '--bf16', '--cfg-options', vocab]
    assert run_here(TOOL, TINY, *data, *arguments) == 0
    printed = capfd.readouterr().out
    assert '3 real clips' in printed and 'bfloat16' in printed and 'paper, Table 6: STGT 3.97' in printed
    assert run_here(TOOL, TINY, '--frames', 4, *arguments) == 0
    assert '3 generated clips, batch 1, 8 of 8 captions' in capfd.readouterr().out
    assert run_here(TOOL, TINY, '--fp32', *arguments) == 2
    assert 'exclude each other' in capfd.readouterr().err
