import json
import os
import subprocess
import sys
from hashlib import sha256
from logging import getLogger
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.evaluator import Evaluator
from mmengine.logging import MessageHub
from mmengine.runner import Runner
from torch import nn
from torch.utils.data import DataLoader, Dataset, DistributedSampler

from stgt_mm.engine.loops.retrieval_loop import RetrievalLoop
from stgt_mm.evaluation import BrokenVideosError, RetrievalMetric
from stgt_mm.functional.fusion import fuse_scores
from stgt_mm.registry import DATASETS, MODELS
from stgt_mm.structures import VideoTextSample

WORDS = ['a', 'red', 'blue', 'circle', 'square', 'moves', 'left', 'right', 'up', 'turns', 'stops', 'grows']
NAMES = ('R1', 'R5', 'R10', 'Rmean', 'MdR', 'MnR')


class Preprocessor(nn.Module):
    def tokenize(self, texts):
        rows = [[1 + WORDS.index(word) for word in text.split()] for text in texts]
        length = max(map(len, rows))
        ids = torch.tensor([row + [0] * (length - len(row)) for row in rows])
        return ids, ids > 0

    def forward(self, batch, training=False):
        return {'inputs': {'video': batch['inputs'].float() / 255}, 'data_samples': batch['data_samples']}


class FakeQFormer(nn.Module):
    """Queries that read the text and the video; the numbers hang on every token and on no padding."""

    def __init__(self, width=48, queries=4):
        super().__init__()
        self.words = nn.Embedding(len(WORDS) + 1, width)
        self.queries = nn.Parameter(torch.randn(queries, width))
        self.key = nn.Linear(width, width)

    def project_video(self, tokens):
        return self.key(tokens)

    def fuse(self, keys, ids, mask):
        text = (self.words(ids) * mask[..., None]).sum(-2) / mask.sum(-1, keepdim=True)
        reader = self.queries + text[..., None, :]  # [V, k, Q, D]
        weight = torch.einsum('vkqd,vmd->vkqm', reader, keys).softmax(-1)
        return torch.einsum('vkqm,vmd->vkqd', weight, keys) * text[..., None, :]


@MODELS.register_module()
class FakeAligner(nn.Module):
    def __init__(self, seed=0, width=48):
        super().__init__()
        torch.manual_seed(seed)
        self.data_preprocessor = Preprocessor()
        self.video = nn.Linear(3 * 4 * 4, width)
        self.qformer = FakeQFormer(width)
        self.matching = nn.Linear(width, 2)
        self.text = nn.Linear(width, width)
        self.contrastive_head = SimpleNamespace(temperature=torch.tensor(0.05))
        self.calls = []

    def encode_video(self, inputs):
        tokens = self.video(inputs['video'].flatten(2))
        self.calls.append(len(tokens))
        weight = torch.einsum('qd,vmd->vqm', self.qformer.queries, tokens).softmax(-1)
        queries = torch.einsum('vqm,vmd->vqd', weight, tokens)
        return SimpleNamespace(queries=nn.functional.normalize(queries, dim=-1), tokens=tokens)

    def encode_text(self, ids, mask):
        words = (self.qformer.words(ids) * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
        return nn.functional.normalize(self.text(words), dim=-1)

    def similarity(self, queries, texts):
        return torch.einsum('vqp,kp->vkq', queries, texts).amax(-1)

    def matching_head(self, queries):
        return self.matching(queries).mean(-2)


@DATASETS.register_module()
class FakeRetrieval(Dataset):
    def __init__(self, videos=23, captions=2, seed=0, broken=(), collect_broken=False, many=True):
        rng = np.random.default_rng(seed)
        self.clips = torch.from_numpy(rng.integers(0, 255, (videos, 5, 3, 4, 4), dtype=np.uint8))
        self.videos = [{'video': f'v{i}.mp4', 'video_id': f'v{i}'} for i in range(videos)]
        texts = (' '.join(rng.choice(WORDS, rng.integers(2, 9))) for _ in range(9 * videos * captions))
        self.texts = list(dict.fromkeys(texts))[: videos * captions]
        self.text_to_videos = [[i // captions] for i in range(videos * captions)]
        if many:
            self.text_to_videos[0] = [0, 5, 7]
        self.triples = [
            {'video': i, 'true': i, 'false': (i + 3) % videos, 'kind': 'odd' if i % 2 else 'even'}
            for i in range(videos)
        ]
        self.broken = broken
        assert collect_broken

    def __len__(self):
        return len(self.videos)

    def __getitem__(self, index):
        info = {'sample_idx': index, **self.videos[index]}
        if index in self.broken:
            info['broken'] = 'no moov atom'
        return {'inputs': self.clips[index], 'data_samples': VideoTextSample(metainfo=info)}


def collate(samples):
    fine = [sample for sample in samples if 'broken' not in sample['data_samples']]
    batch = {
        'inputs': torch.stack([sample['inputs'] for sample in fine]) if fine else None,
        'data_samples': [sample['data_samples'] for sample in fine],
    }
    if len(fine) < len(samples):
        batch['broken'] = [s['data_samples'] for s in samples if 'broken' in s['data_samples']]
    return batch


class StubRunner:
    """What the loop needs of a runner, without a work folder and without DDP."""

    def __init__(self, model):
        self.model, self.hooks, self.seed = model, [], 0
        self.logger = getLogger('test')
        self.message_hub = MessageHub.get_instance(f'test-{id(self)}')
        self.called = []

    def register_hook(self, hook):
        self.hooks.append(hook)

    def call_hook(self, name, **kwargs):
        self.called.append(name)


def make_loop(dataset=None, batch_size=4, metric=None, choices=(), sampler=None, **options):
    dataset = dataset or FakeRetrieval(collect_broken=True)
    loader = DataLoader(dataset, batch_size=batch_size, collate_fn=collate, sampler=sampler)
    runner = StubRunner(FakeAligner().train())
    loop = RetrievalLoop(runner, loader, Evaluator(metric or RetrievalMetric()), **options)
    loop.choices = dict.fromkeys(choices)
    loop._choice_loaders = dict.fromkeys(choices, loader)
    return loop


@torch.no_grad()
def full_matrices(model, dataset):
    """Similarity and matching logits of every pair, by the shortest way."""
    features = model.encode_video({'video': dataset.clips.float() / 255})
    ids, mask = model.data_preprocessor.tokenize(dataset.texts)
    similarity = model.similarity(features.queries, model.encode_text(ids, mask))
    every = (len(dataset), *ids.shape)
    keys = model.qformer.project_video(features.tokens)
    logits = model.matching_head(model.qformer.fuse(keys, ids.expand(every), mask.expand(every)))
    return similarity.double(), logits


def brute_force(similarity, fused, k, relevant):
    """Sorts: the top k by fused score, then the rest by similarity; one rank a query."""
    found = []
    for sim, score, own in zip(similarity.tolist(), fused.tolist(), relevant):
        order = sorted(range(len(sim)), key=lambda i: -sim[i])
        order = sorted(order[:k], key=lambda i: -score[i]) + order[k:]
        found.append(1 + next(place for place, item in enumerate(order) if item in own))
    rank = np.array(found)
    recalls = [100 * float(np.mean(rank <= cutoff)) for cutoff in (1, 5, 10)]
    return dict(zip(NAMES, [*recalls, float(np.mean(recalls)), float(np.median(rank)), float(rank.mean())]))


@pytest.mark.parametrize('k', [1, 6, 1000])
@pytest.mark.parametrize('fusion', ['itm', 'itm+itc', 'calibrated'])
def test_equals_sorting_the_full_matrix(k, fusion):
    loop = make_loop(rerank_k=k, score_fusion=fusion)
    metrics = loop.run()
    dataset = loop.dataloader.dataset
    similarity, logits = full_matrices(loop.model, dataset)
    fused = fuse_scores(similarity, logits, fusion, temperature=0.05, weight=0.5)
    back = [[t for t, own in enumerate(dataset.text_to_videos) if v in own] for v in range(len(dataset))]
    expected = {
        't2v': brute_force(similarity.T, fused.T, k, dataset.text_to_videos),
        'v2t': brute_force(similarity, fused, k, back),
        'sim_t2v': brute_force(similarity.T, fused.T, 0, dataset.text_to_videos),
        'sim_v2t': brute_force(similarity, fused, 0, back),
    }
    for name, values in expected.items():
        assert {key: metrics[f'{name}/{key}'] for key in NAMES} == pytest.approx(values)
    assert metrics['v2t/R1'] == metrics['v2t_captions/R1']
    if k == 1000:
        assert metrics['t2v/MnR'] != metrics['sim_t2v/MnR']


def test_without_reranking_only_similarity_is_reported():
    for options in ({'rerank_k': 0}, {'score_fusion': 'itc'}):
        loop = make_loop(**options)
        metrics = loop.run()
        assert metrics['t2v/R5'] == make_loop().run()['sim_t2v/R5']
        assert not any(key.startswith('sim_') for key in metrics)
        assert loop.protocol['score_fusion'] == 'itc'


def test_videos_are_encoded_once_and_the_mode_comes_back():
    loop = make_loop()
    loop.run()
    assert loop.model.calls == [1] * 23
    assert loop.model.training
    called = loop.runner.called
    assert called[:2] == ['before_val', 'before_val_epoch'] and called[-2:] == [
        'after_val_epoch',
        'after_val',
    ]
    assert called.count('after_val_iter') == 6


class Recorder(RetrievalMetric):
    """Keeps a hash of every score, so that a difference too small for a rank shows."""

    def process(self, data_batch, data_samples):
        super().process(data_batch, data_samples)
        scores = [table.rows(0, len(table.similarity))[0] for table in data_samples]
        # 0.0 is added because a sum over processes turns -0.0 into it.
        self.digest = sha256(torch.cat([table.flatten() + 0.0 for table in scores]).numpy()).hexdigest()


def all_numbers(batch_size, sampler=None):
    metric = Recorder()
    options = {'score_fusion': 'calibrated', 'rerank_k': 5, 'calibrate': True}
    numbers = make_loop(None, batch_size, metric, ['facts'], sampler, **options).run()
    return {**numbers, 'digest': metric.digest}


def test_the_batch_size_changes_no_digit():
    first = all_numbers(1)
    for batch_size in (3, 23):
        assert all_numbers(batch_size) == first


def test_padded_and_repeated_samples_count_once():
    assert all_numbers(4, sampler=[*range(23), 3, 3, 0]) == all_numbers(4)
    with pytest.raises(RuntimeError, match='left out 2 of 23 videos, the first is number 21'):
        all_numbers(4, sampler=list(range(21)))


def worker(rank, folder):
    torch.distributed.init_process_group(
        'gloo', init_method=f'file://{folder}/store', rank=rank, world_size=2
    )
    dataset = FakeRetrieval(collect_broken=True)
    sampler = DistributedSampler(dataset, shuffle=False)
    metrics = all_numbers(4, sampler)
    try:
        make_loop(FakeRetrieval(collect_broken=True, broken=(2, 3)), sampler=sampler).run()
    except BrokenVideosError as error:
        metrics['broken'] = str(error)
    Path(folder, f'{rank}.json').write_text(json.dumps(metrics))


def test_two_processes_give_the_same_to_the_last_digit(tmp_path):
    env = {**os.environ, 'PYTHONPATH': os.pathsep.join(path for path in sys.path if path)}
    jobs = [
        subprocess.Popen([sys.executable, __file__, str(rank), str(tmp_path)], env=env) for rank in (0, 1)
    ]
    assert [job.wait(timeout=120) for job in jobs] == [0, 0]
    results = [json.loads((tmp_path / f'{rank}.json').read_text()) for rank in (0, 1)]
    listed = [result.pop('broken') for result in results]
    assert results[0] == results[1] == all_numbers(4)
    assert all('v2.mp4: no moov atom' in text and 'v3.mp4' in text for text in listed)


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
        assert metrics[f'{prefix}facts/accuracy'] == pytest.approx(
            100 * np.mean(right['even'] + right['odd'])
        )
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


def test_wrong_options_are_named():
    for options, words in (
        ({'rerank_k': -1}, 'rerank_k=-1'),
        ({'score_fusion': 'sum'}, "score_fusion='sum'"),
        ({'calibrate': True}, 'calibrate=True'),
        ({'amp': 'int8'}, "amp='int8'"),
    ):
        with pytest.raises(ValueError, match=words):
            make_loop(**options)


def test_autocast_is_in_force():
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
        'collate_fn': collate,
    }
    runner = Runner(
        model={'type': 'FakeAligner'},
        work_dir=str(tmp_path),
        default_scope='stgt_mm',
        experiment_name=f'retrieval-{mode}-{tmp_path.name}',
        **{
            f'{mode}_dataloader': loader,
            f'{mode}_evaluator': {'type': 'RetrievalMetric'},
            f'{mode}_cfg': {'type': 'RetrievalLoop', 'rerank_k': 5, 'choices': {'facts': loader}},
        },
    )
    metrics = getattr(runner, mode)()
    expected = make_loop(rerank_k=5, choices=['facts']).run()
    assert metrics == expected
    loop = getattr(runner, f'{mode}_loop')
    assert loop.protocol['ties'] == ['average'] and loop.protocol['v2t_gallery'] == ['captions']
    assert loop.protocol['split'] == mode and loop.protocol['frames'] == 5


if __name__ == '__main__':
    worker(int(sys.argv[1]), sys.argv[2])
