"""Scores of captions: what they are of, several processes, no Java, the report."""

import json
import sys

import pytest
import torch
import torch.distributed as dist
from gloo_pair import in_two_processes
from mmengine.evaluator import Evaluator
from mmengine.runner import BaseLoop

from stgt_mm.evaluation import CaptionMetric
from stgt_mm.evaluation.report import report_test
from stgt_mm.functional.caption_words import caption_words
from stgt_mm.structures import VideoTextSample

CAPTIONS = ['a red dog runs far', 'the cat sleeps on a mat', 'two men play the guitar', 'people sing loudly']


def samples(predictions, references=None):
    made = []
    for index, prediction in enumerate(predictions):
        info = {'sample_idx': index, 'video_id': f'v{index}'}
        info['references'] = references[index] if references else [CAPTIONS[index]]
        made.append(VideoTextSample(metainfo=info, prediction=prediction, score=-0.5))
    return made


def measure(given):
    pytest.importorskip('pycocoevalcap')
    evaluator = Evaluator(CaptionMetric())
    evaluator.process(given)
    return evaluator.evaluate(len(given)), evaluator.metrics[0]


def test_scores_of_right_half_right_and_wrong_captions(monkeypatch):
    monkeypatch.setenv('PATH', '')  # no program is called
    metrics, metric = measure(samples(CAPTIONS[:3]))
    assert set(metrics) == {
        f'caption/{name}' for name in ('CIDEr', 'ROUGE-L', *map('BLEU-{}'.format, range(1, 5)))
    }
    assert metrics['caption/CIDEr'] == pytest.approx(1000) and metrics['caption/BLEU-4'] == pytest.approx(100)
    written = ['A red dog runs far.', 'the cat sleeps, on a mat', 'Two men play the guitar']
    assert measure(samples(written))[0] == metrics, 'case and punctuation do not count'
    half, metric = measure(samples(['a red dog runs', 'the cat', 'three women']))
    # 6 of 8 words are right, 16 were to be said
    assert half['caption/BLEU-1'] == pytest.approx(100 * 6 / 8 * float(torch.tensor(1 - 16 / 8).exp()))
    own = [row['CIDEr'] for row in metric.predictions]
    assert own[0] > own[1] > own[2] == 0
    assert half['caption/CIDEr'] == pytest.approx(sum(own) / 3)
    assert measure(samples(CAPTIONS[::-1]))[0]['caption/BLEU-4'] < 1


def test_any_of_several_references_counts():
    several = [
        ['a dog sleeps', 'a red dog runs far'],
        ['the cat sleeps on a mat'],
        ['two men play the guitar'],
    ]
    metrics, _ = measure(samples(CAPTIONS[:3], several))
    assert metrics['caption/BLEU-4'] == pytest.approx(100) and 500 < metrics['caption/CIDEr'] < 1000


def part_of():
    evaluator = Evaluator(CaptionMetric())
    given = samples(CAPTIONS[::-1])
    evaluator.process(given[dist.get_rank() :: 2] + given[:1])  # the first is seen three times
    return [evaluator.evaluate(len(given)), [row['video_id'] for row in evaluator.metrics[0].predictions]]


def test_two_processes_find_the_numbers_of_one(tmp_path):
    metrics, _ = measure(samples(CAPTIONS[::-1]))
    first, second = in_two_processes(part_of, tmp_path)
    assert first[0] == second[0] == metrics and first[1] == ['v0', 'v1', 'v2', 'v3']


def test_table_and_file_have_the_captions_beside_their_references(tmp_path, capsys):
    metrics, metric = measure(samples(CAPTIONS[:3]))

    class Loop(BaseLoop):
        evaluator = Evaluator([metric])
        protocol = {'task': 'caption', 'normalisation': [metric.normalisation]}
        run = __init__ = lambda self: None

    report_test(Loop(), metrics, {}, {}, str(tmp_path / 'o.json'))
    printed = capsys.readouterr().out
    rows = [line.split() for line in printed.splitlines()]
    assert ['caption', 'CIDEr', '1000.0'] in rows and ['caption', 'BLEU-4', '100.0'] in rows
    assert 'close to PTB' in printed and CAPTIONS[0] not in printed
    row = json.loads((tmp_path / 'o.json').read_text())['predictions'][0]
    assert row == {
        'sample_idx': 0, 'video_id': 'v0', 'references': [CAPTIONS[0]], 'prediction': CAPTIONS[0],
        'score': -0.5, 'CIDEr': pytest.approx(1000),
    }  # fmt: skip


def test_words_are_those_of_the_penn_treebank():
    assert caption_words("The man's \"X-ray\": he can't say 'why' -- it's 3.5 m/s!") == [
        'the', 'man', "'s", 'x-ray', 'he', 'ca', "n't", 'say', 'why', 'it', "'s", '3.5', 'm/s',
    ]  # fmt: skip


def test_what_is_wrong_is_named(monkeypatch):
    pytest.importorskip('pycocoevalcap')
    with pytest.raises(ValueError, match='nothing was captioned'):
        CaptionMetric().evaluate(0)
    monkeypatch.setitem(sys.modules, 'pycocoevalcap.bleu.bleu', None)
    with pytest.raises(ValueError, match='pip install pycocoevalcap'):
        CaptionMetric()
