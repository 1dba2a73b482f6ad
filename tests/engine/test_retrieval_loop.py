"""Broken clips, caption choices, calibration and options of the loop, and the loop under a real runner."""

import json

import numpy as np
import pytest
import torch
from fake_retrieval import (
    NAMES,
    FakeAligner,
    FakeRetrieval,
    StubRunner,
    brute_force,
    full_matrices,
    make_loop,
)
from mmengine.evaluator import Evaluator
from mmengine.runner import Runner

from stgt_mm.datasets import CaptionChoiceDataset, EpochSampler, RetrievalDataset, video_text_collate
from stgt_mm.engine.loops.retrieval_loop import RetrievalLoop
from stgt_mm.evaluation import BrokenVideosError, RetrievalMetric
from stgt_mm.functional.fusion import fuse_scores


def test_videos_are_encoded_once_and_the_mode_comes_back():
    loop = make_loop()
    loop.run()
    assert loop.model.calls == [1] * 23
    assert loop.model.training
    called = loop.runner.called
    assert called[:2] == ['before_val', 'before_val_epoch']
    assert called[-2:] == ['after_val_epoch', 'after_val']
    assert called.count('after_val_iter') == 6


def test_progress_counts_every_video_of_the_split_and_of_the_choices(monkeypatch):
    counts = {}

    def track(items, what, total):
        items = list(items)
        counts.setdefault(what, []).append((len(items), total))
        return items

    monkeypatch.setattr('stgt_mm.progress.track', track)
    make_loop(rerank_k=3, choices=['facts']).run()
    assert counts == {
        'encoding, videos': [(23, 23)],
        're-ranking, videos': [(23, 23)] * 2,
        'encoding for facts, videos': [(23, 23)],
    }


def test_broken_videos_stop_or_are_left_out_and_counted():
    dataset = FakeRetrieval(collect_broken=True, broken=(1, 4), many=False)
    with pytest.raises(BrokenVideosError, match=r'(?s)2 of 23 .*v1.mp4: no moov atom.*v4.mp4.*skip_broken'):
        make_loop(dataset).run()
    loop = make_loop(dataset, skip_broken=True, choices=['facts'], rerank_k=4)
    metrics = loop.run()
    assert metrics['skipped_videos'] == 2 and metrics['skipped_texts'] == 4 and metrics['facts/skipped'] == 2
    assert (loop.protocol['videos'], loop.protocol['texts']) == (21, 42)
    keep_video = [i for i in range(23) if i not in (1, 4)]
    keep_text = [i for i in range(46) if i // 2 in keep_video]
    similarity, logits = full_matrices(loop.model, dataset)
    similarity, logits = similarity[keep_video][:, keep_text], logits[keep_video][:, keep_text]
    fused = fuse_scores(similarity, logits)
    expected = brute_force(similarity.T, fused.T, 4, [[i // 2] for i in range(42)])
    assert {key: metrics[f't2v/{key}'] for key in NAMES} == pytest.approx(expected)
    with pytest.raises(BrokenVideosError):
        make_loop(FakeRetrieval(collect_broken=True, broken=range(23)), skip_broken=True).run()


def test_choices_equal_a_loop():
    loop = make_loop(choices=['facts'])
    metrics = loop.run()
    dataset = loop.dataloader.dataset
    similarity, logits = full_matrices(loop.model, dataset)
    for prefix, scores in (('', similarity), ('fused_', fuse_scores(similarity, logits))):
        right = {'even': [], 'odd': []}
        for triple in dataset.triples:
            row = scores[triple['video']]
            right[triple['kind']].append(float(row[triple['true']] > row[triple['false']]))
        assert metrics[f'{prefix}facts/even'] == pytest.approx(100 * np.mean(right['even']))
        assert metrics[f'{prefix}facts/odd'] == pytest.approx(100 * np.mean(right['odd']))
        both = 100 * np.mean(right['even'] + right['odd'])
        assert metrics[f'{prefix}facts/accuracy'] == pytest.approx(both)
    assert loop.protocol['choices'] == {'facts': 23}


def test_calibration_is_no_worse_than_any_weight_of_the_grid_and_is_kept():
    loop = make_loop(score_fusion='calibrated', calibrate=True)
    metrics = loop.run()
    best = metrics['t2v/Rmean'] + metrics['v2t/Rmean']
    for weight in (0.0, 0.5, 4.0):
        other = make_loop(score_fusion='calibrated', fusion_weight=weight).run()
        assert other['fusion_weight'] == weight
        assert best >= other['t2v/Rmean'] + other['v2t/Rmean']
    checkpoint = {'meta': {}}
    loop.runner.hooks[0].before_save_checkpoint(loop.runner, checkpoint)
    assert checkpoint['meta']['fusion_weight'] == metrics['fusion_weight']
    later = make_loop(score_fusion='calibrated')
    later.runner.hooks[0].after_load_checkpoint(later.runner, checkpoint)
    assert later.run()['fusion_weight'] == metrics['fusion_weight']


def test_nan_stops_the_evaluation():
    loop = make_loop()
    loop.model.text.weight.data[0, 0] = float('nan')
    with pytest.raises(ValueError, match=r'1058 of 1058 similarities are NaN'):
        loop.run()


def test_autocast_is_in_force_and_wrong_options_are_named():
    for option, value in {'rerank_k': -1, 'score_fusion': 'sum', 'calibrate': True, 'amp': 'int8'}.items():
        with pytest.raises(ValueError, match=f'{option}={value!r}'):
            make_loop(**{option: value})
    exact, rounded = make_loop(rerank_k=0), make_loop(rerank_k=0, amp=True)
    seen = []
    for loop in (exact, rounded):
        loop.model.video.register_forward_hook(lambda *args: seen.append(args[2].dtype))
        loop.run()
    assert set(seen[:23]) == {torch.float32} and set(seen[23:]) == {torch.bfloat16}


@pytest.mark.parametrize('mode', ['val', 'test'])
def test_runs_under_a_real_runner_from_configs(tmp_path, mode):
    loader = {
        'dataset': {'type': 'FakeRetrieval'},
        'batch_size': 5,
        'num_workers': 0,
        'sampler': {'type': 'DefaultSampler', 'shuffle': False},
        'collate_fn': video_text_collate,
    }
    names = {'default_scope': 'stgt_mm', 'experiment_name': f'retrieval-{mode}-{tmp_path.name}'}
    evaluation = {
        f'{mode}_dataloader': loader,
        f'{mode}_evaluator': {'type': 'RetrievalMetric'},
        f'{mode}_cfg': {'type': 'RetrievalLoop', 'rerank_k': 5, 'choices': {'facts': loader}},
    }
    runner = Runner(model={'type': 'FakeAligner'}, work_dir=str(tmp_path), **names, **evaluation)
    metrics = getattr(runner, mode)()
    expected = make_loop(rerank_k=5, choices=['facts']).run()
    assert metrics == expected
    loop = getattr(runner, f'{mode}_loop')
    assert loop.protocol['ties'] == ['average'] and loop.protocol['v2t_gallery'] == ['captions']
    assert loop.protocol['split'] == mode and loop.protocol['frames'] == 5


def test_missing_files_and_wrong_paths_of_choices_show_before_any_work(tmp_path):
    def write(name, letter, count, **extra):
        lines = [{'video': f'{letter}{i}.mp4', 'text': f'red {i}', **extra} for i in range(count)]
        (tmp_path / name).write_text(''.join(json.dumps(line) + '\n' for line in lines))

    write('a.jsonl', 'v', 3, distractor='blue', kind='odd')
    pipeline = [{'type': 'LoadVideo'}, {'type': 'Resize', 'size': 8}, {'type': 'PackVideoText'}]

    def build(ann_file='a.jsonl', main='a.jsonl', missing=None, **options):
        def loader(kind, file):
            dataset = dict(type=kind, ann_file=tmp_path / file, video_root=tmp_path, pipeline=pipeline)
            dataset.update({} if missing is None else {'missing': missing})
            sampler = dict(type=EpochSampler, shuffle=False)
            return dict(dataset=dataset, batch_size=1, sampler=sampler, collate_fn=video_text_collate)

        choices = {'facts': loader(CaptionChoiceDataset, ann_file)}
        videos, runner = loader(RetrievalDataset, main), StubRunner(FakeAligner())
        return RetrievalLoop(runner, videos, Evaluator(RetrievalMetric()), choices=choices, **options)

    (tmp_path / 'v0.mp4').touch()
    (tmp_path / 'v2.mp4').touch()
    with pytest.raises(BrokenVideosError, match=r'(?s)1 of 3 .*v1\.mp4.*skip_broken=True'):
        build()
    assert len(build(skip_broken=True).dataloader.dataset) == 3  # counted with the broken ones
    (tmp_path / 'v1.mp4').touch()
    build()
    write('many.jsonl', 'w', 30)
    (tmp_path / 'w7.mp4').touch()
    with pytest.raises(BrokenVideosError, match='29 of 30') as caught:
        build(main='many.jsonl')
    assert all((f'w{i}.mp4' in str(caught.value)) is (i != 7) for i in range(30))  # the whole list
    with pytest.raises(ValueError, match=r"missing='skip'.*--skip-broken"):
        build(missing='skip')
    with pytest.raises(FileNotFoundError, match=r'no annotation file .*facts\.jsonl'):
        build(ann_file='facts.jsonl')
