import numpy as np
import pytest
import torch

from stgt_mm.evaluation import RetrievalMetric
from stgt_mm.evaluation.match import top_candidates, unique_pairs
from stgt_mm.evaluation.rank import query_batches, similarity_rankings
from stgt_mm.functional.ranking import Relation
from stgt_mm.registry import METRICS


def evaluate(similarity, text_to_videos, metric=None):
    metric = metric or RetrievalMetric()
    samples = []
    for ranking in similarity_rankings(similarity, Relation.from_lists(text_to_videos)):
        for batch in query_batches(ranking):
            samples += batch
    for start in range(0, len(samples), 7):  # in whatever batches they come
        metric.process(None, samples[start : start + 7])
    return metric.evaluate(len(samples))


def mean_rank(scores, relevant):
    """Mean rank (from 1) of the best relevant item, by a loop; scores without ties."""
    places = []
    for row, own in zip(scores.tolist(), relevant):
        best = max(row[item] for item in own)
        places.append(1 + sum(value > best for value in row))
    return float(np.mean(places)), 100 * float(np.mean(np.array(places) <= 5))


@pytest.mark.parametrize('seed', range(5))
def test_many_to_many_relations_equal_a_loop(seed):
    generator = torch.Generator().manual_seed(seed)
    videos, texts = 9, 31
    similarity = torch.rand(videos, texts, generator=generator)
    relation = [[t % videos] + ([(t + 4) % videos] if t % 5 == 0 else []) for t in range(texts)]
    back = [[t for t, own in enumerate(relation) if v in own] for v in range(videos)]
    metrics = evaluate(similarity, relation)
    assert (metrics['t2v/MnR'], metrics['t2v/R5']) == pytest.approx(mean_rank(similarity.T, relation))
    assert (metrics['v2t/MnR'], metrics['v2t/R5']) == pytest.approx(mean_rank(similarity, back))
    assert metrics['v2t/Rmean'] == metrics['v2t_captions/Rmean']


@pytest.mark.parametrize('seed', range(3))
def test_best_caption_of_each_video_equals_a_loop(seed):
    similarity = torch.rand(6, 24, generator=torch.Generator().manual_seed(seed))
    best = similarity.view(6, 6, 4).amax(-1)
    expected = mean_rank(best, [[v] for v in range(6)])
    relation = [[t // 4] for t in range(24)]
    metrics = evaluate(similarity, relation, RetrievalMetric(v2t_gallery='videos'))
    assert (metrics['v2t/MnR'], metrics['v2t/R5']) == pytest.approx(expected)
    assert metrics['v2t/MnR'] == metrics['v2t_videos/MnR'] <= metrics['v2t_captions/MnR']


def test_both_galleries_agree_on_one_caption_a_video():
    similarity = torch.rand(12, 12, generator=torch.Generator().manual_seed(1))
    relation = [[v] for v in range(12)]
    first = evaluate(similarity, relation)
    assert first == evaluate(similarity, relation, RetrievalMetric(v2t_gallery='videos'))
    assert set(first) == {
        f'{d}/{n}' for d in ('t2v', 'v2t') for n in ['R1', 'R5', 'R10', 'Rmean', 'MdR', 'MnR']
    }
    doubled = [[v] for v in range(12) for _ in range(2)]
    names = set(evaluate(similarity.repeat_interleave(2, 1), doubled))
    assert {'v2t_captions/R1', 'v2t_videos/R1'} <= names


def test_constant_scores_are_guessing_and_ties_are_an_option():
    relation = [[v] for v in range(10)]
    for ties, expected in (('average', 10.0), ('optimistic', 100.0), ('pessimistic', 0.0)):
        metrics = evaluate(torch.zeros(10, 10), relation, RetrievalMetric(ties=ties))
        assert metrics['t2v/R1'] == metrics['v2t/R1'] == pytest.approx(expected)


def test_the_metric_is_registered_and_names_wrong_options():
    assert METRICS.build({'type': 'RetrievalMetric', 'ties': 'pessimistic'}).ties == 'pessimistic'
    for options in ({'ties': 'best'}, {'v2t_gallery': 'all'}, {'cutoffs': (0, 1)}):
        with pytest.raises(ValueError, match=next(iter(options))):
            RetrievalMetric(**options)


def test_candidates_stop_at_the_size_of_the_gallery():
    scores = torch.rand(3, 4, generator=torch.Generator().manual_seed(0))
    assert torch.equal(top_candidates(scores, 2), scores.argsort(1, descending=True)[:, :2])
    assert torch.equal(top_candidates(scores, 99).sort(1).values, torch.arange(4).expand(3, 4))


@pytest.mark.parametrize('columns', [6, 40])
def test_candidates_of_equal_scores_are_the_first_and_those_of_a_smaller_k_lead(columns):
    scores = torch.randint(0, 8, (30, columns), generator=torch.Generator().manual_seed(2)) / 8
    scores[:5] = torch.rand(5, columns)
    order = scores.sort(dim=1, descending=True, stable=True).indices
    for k in (1, 3, 6, 50):
        assert torch.equal(top_candidates(scores, k), order[:, :k])
        assert torch.equal(top_candidates(scores.T.contiguous().T, k), order[:, :k])


def test_pairs_are_listed_once_by_video_and_found_again():
    video, text = torch.tensor([[2, 0], [0, 1], [2, 0]]), torch.tensor([[1, 2], [0, 2], [1, 2]])
    videos, texts, place = unique_pairs(video, text, 3)
    listed = list(zip(videos.tolist(), texts.tolist()))
    assert listed == [(0, 0), (0, 2), (1, 2), (2, 1)]
    assert torch.equal(videos[place], video) and torch.equal(texts[place], text)
