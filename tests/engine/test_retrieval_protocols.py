"""Post-processors beside the raw numbers, sweeps from one encoding, and what the protocol says."""

import json

import numpy as np
import pytest
import torch
from fake_retrieval import NAMES, FakeRetrieval, brute_force, full_matrices, make_loop
from mmengine.evaluator import BaseMetric

from stgt_mm.evaluation import QBNorm, RetrievalMetric, format_report

BANK = ['a red circle moves', 'red', 'a blue square', 'turns left', 'grows up right stops']
DSL = {'type': 'DSL', 'temperature': 30.0}


def write_bank(folder, texts=BANK):
    path = folder / 'bank.jsonl'
    path.write_text(''.join(json.dumps({'video': f'{i}.mp4', 'text': t}) + '\n' for i, t in enumerate(texts)))
    return str(path)


def own(metrics, prefix):
    return {key: metrics[f'{prefix}/{key}'] for key in NAMES}


def ranks_of(scores, relevant):
    return brute_force(scores, scores, 0, relevant)


@torch.no_grad()
@pytest.mark.parametrize('options', [{'rerank_k': 0}, {'rerank_k': 5}])
def test_post_processors_stand_beside_the_raw_numbers(options, tmp_path):
    plain = make_loop(**options).run()
    bank = write_bank(tmp_path)
    loop = make_loop(post_processors=[DSL, {'type': 'QBNorm', 'bank': bank, 'beta': 5.0}], **options)
    metrics = loop.run()
    assert {key: metrics[key] for key in plain} == plain
    prefix = 'sim_' if options['rerank_k'] else ''
    added = {key.split('/')[0] for key in set(metrics) - set(plain)}
    dsl = {f'{prefix}{name}' for name in ('t2v_dsl', 'v2t_dsl', 'v2t_dsl_captions', 'v2t_dsl_videos')}
    assert added == {*dsl, f'{prefix}t2v_qbnorm'}

    dataset = FakeRetrieval(collect_broken=True)
    similarity = full_matrices(loop.model, dataset)[0].double()
    back = [[t for t, videos in enumerate(dataset.text_to_videos) if v in videos] for v in range(23)]
    for name, scores, relevant in (
        ('t2v_dsl', similarity.T, dataset.text_to_videos),
        ('v2t_dsl', similarity, back),
    ):
        expected = ranks_of(scores * (30 * scores).softmax(0), relevant)
        assert own(metrics, prefix + name) == pytest.approx(expected)
    ids, mask = loop.model.data_preprocessor.tokenize(BANK)
    features = loop.model.encode_video({'video': dataset.clips.float() / 255}).queries
    scores = loop.model.similarity(features, loop.model.encode_text(ids, mask)).T.double()
    hubs = set(scores.argmax(1).tolist())
    expected = similarity.T.clone()
    for number, row in enumerate(similarity.T):
        if int(row.argmax()) in hubs:
            expected[number] = (5 * row).exp() / (5 * scores).exp().sum(0)
    assert own(metrics, f'{prefix}t2v_qbnorm') == pytest.approx(ranks_of(expected, dataset.text_to_videos))
    assert own(metrics, f'{prefix}t2v_qbnorm') != own(metrics, f'{prefix}t2v')
    notes = loop.protocol['post_processing']
    assert 'whole test set of queries at once' in notes['dsl'] and bank in notes['qbnorm']


def test_a_bank_over_several_blocks_is_the_same(tmp_path, monkeypatch):
    bank = write_bank(tmp_path)
    processors = [{'type': 'QBNorm', 'bank': bank}]

    def scores():
        loop = make_loop(post_processors=processors)
        (ranking,) = [own for own in loop.rank(loop.encode(), [0])[0] if own.name == 't2v_qbnorm']
        return torch.cat([block[1] for block in ranking.blocks()])

    whole = scores()
    monkeypatch.setattr('stgt_mm.evaluation.post_processing.TEXT_BLOCK', 2)
    torch.testing.assert_close(scores(), whole, rtol=1e-6, atol=1e-6)


def test_wrong_post_processors_are_named(tmp_path):
    for config, error, words in (
        ({'type': 'DSl'}, KeyError, r'Did you mean .*DSL'),
        ({'type': 'DSL', 'temperature': 0}, ValueError, 'temperature=0 must be positive'),
        ({'type': 'QBNorm', 'bank': str(tmp_path / 'no.jsonl')}, FileNotFoundError, r'no\.jsonl.*bank'),
        ({'type': 'QBNorm', 'bank': write_bank(tmp_path), 'max_texts': 0}, ValueError, 'max_texts'),
    ):
        with pytest.raises(error, match=words):
            make_loop(post_processors=[config])


def test_a_sweep_scores_each_pair_once_and_equals_separate_runs(monkeypatch):
    loop = make_loop(rerank_k=3, post_processors=[DSL])
    pairs = []
    fuse = type(loop.model.qformer).fuse

    def counted(self, keys, ids, mask):
        pairs.append(ids.shape[1])
        return fuse(self, keys, ids, mask)

    monkeypatch.setattr(type(loop.model.qformer), 'fuse', counted)
    split = loop.encode()
    assert not pairs and loop.runner.called == [] and loop.model.training
    videos = len(loop.model.calls)
    swept = loop.sweep_rerank_k(split, [9, 0, 1, 1000])
    assert pairs and sum(pairs) == 23 * 46 and len(loop.model.calls) == videos == 23
    assert loop.protocol['rerank_k'] == 46
    for k, metrics in swept.items():
        assert metrics == make_loop(rerank_k=k, post_processors=[DSL]).run()
    assert loop.evaluate(split) == make_loop(rerank_k=3, post_processors=[DSL]).run()
    assert loop.model.training
    with pytest.raises(ValueError, match=r'rerank_k=\[-1, 2\]'):
        loop.sweep_rerank_k(split, [-1, 2])
    with pytest.raises(ValueError, match="'itc'"):
        make_loop(score_fusion='itc').sweep_rerank_k(split, [4])


def test_broken_videos_and_lost_texts_are_named():
    loop = make_loop(FakeRetrieval(collect_broken=True, broken=(1, 5)), skip_broken=True)
    metrics = loop.run()
    # text 0 fits videos 0, 5 and 7: it keeps two of them, numbered without the broken ones
    split = loop.encode()
    assert [own[:2].tolist() for own in split.relation] == [[0, 0], [0, 5]]
    assert sorted(split.videos.tokens) == list(range(21)) and split.lost_texts == [2, 3, 10, 11]
    whole = make_loop().encode()
    assert torch.equal(split.videos.tokens[5], whole.videos.tokens[7])
    assert torch.equal(split.videos.queries[5], whole.videos.queries[7])
    assert loop.protocol['skipped_video_ids'] == ['v1', 'v5']
    assert loop.protocol['skipped_text_ids'] == ['t2', 't3', 't10', 't11']
    assert (metrics['skipped_videos'], metrics['skipped_texts']) == (2, 4)
    whole = make_loop()
    assert 'skipped_videos' not in whole.run() and whole.protocol['skipped_videos'] == 0
    assert 'skipped_video_ids' not in whole.protocol


def test_a_bank_of_some_texts_is_spread_over_the_file_and_the_paper_row_changes_no_number(tmp_path):
    texts = [f'text {i}' for i in range(10)]
    bank = write_bank(tmp_path, [*texts, *texts])
    assert QBNorm(bank).texts == texts
    assert QBNorm(bank, max_texts=3).texts == ['text 0', 'text 3', 'text 6']
    key = 'ablation/table3_csal'
    loop = make_loop(metric=RetrievalMetric(paper_row=key))
    assert loop.run() == make_loop().run()
    assert f'paper: row {key} (Table 3' in format_report({'t2v/Rmean': 1.0}, {}, loop.evaluator.metrics)


class Kept(BaseMetric):
    """A metric of a user's own: one result a data sample."""

    default_prefix = 'kept'

    def process(self, data_batch, data_samples):
        assert data_batch is None
        self.results.extend(data_samples)

    def compute_metrics(self, results):
        self.samples = results
        return {'count': len(results)}


@pytest.mark.parametrize('ties', ['average', 'optimistic', 'pessimistic'])
def test_no_score_of_a_candidate_or_the_rest_is_made_up(ties):
    """Every score that a metric gets is a similarity or a fused score: there is no fill value."""
    loop = make_loop(rerank_k=4, metric=[RetrievalMetric(ties=ties), kept := Kept()])
    metrics = loop.run()
    # texts and videos, the latter among captions and among videos, fused and by similarity
    assert metrics['kept/count'] == len(kept.samples) == 2 * (46 + 2 * 23)
    similarity, logits = full_matrices(loop.model, loop.dataloader.dataset)
    fused = similarity + torch.sigmoid((logits[..., 1] - logits[..., 0]).double())
    seen = set()
    for sample in kept.samples:
        direction = sample['ranking'].removeprefix('sim_')
        sim, both = (m.T if direction == 't2v' else m for m in (similarity, fused))
        if (direction, sample['gallery']) == ('v2t', 'videos'):
            continue  # the best caption of each video: of the same numbers
        sim, both, tier = sim[sample['query']], both[sample['query']], sample['tier']
        expected = sim if tier is None else torch.where(tier.bool(), both, sim)
        np.testing.assert_allclose(sample['scores'].numpy(), expected.numpy(), atol=1e-5)
        assert (tier is None) is sample['ranking'].startswith('sim_') and (tier is None or tier.sum() == 4)
        seen.add((sample['ranking'], sample['query']))
    assert len(seen) == 2 * (46 + 23)
