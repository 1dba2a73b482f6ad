"""Ranks of the loop against sorting the full matrix, for any batch size and number of processes."""

import pytest
from fake_retrieval import (
    NAMES,
    FakeRetrieval,
    brute_force,
    digest_of_scores,
    full_matrices,
    make_loop,
)
from gloo_pair import in_two_processes
from torch.utils.data import DistributedSampler

from stgt_mm.evaluation import BrokenVideosError
from stgt_mm.functional.fusion import fuse_scores


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


def all_numbers(batch_size, sampler=None):
    options = {'score_fusion': 'calibrated', 'rerank_k': 5, 'calibrate': True}
    loop = make_loop(None, batch_size, None, ['facts'], sampler, **options)
    return {**loop.run(), 'digest': digest_of_scores(loop)}


def test_the_batch_size_and_repeated_samples_change_no_digit():
    first = all_numbers(1)
    for batch_size in (3, 23):
        assert all_numbers(batch_size) == first
    assert all_numbers(4, sampler=[*range(23), 3, 3, 0]) == first
    with pytest.raises(RuntimeError, match='left out 2 of 23 videos, the first is number 21'):
        all_numbers(4, sampler=list(range(21)))


def two_process_numbers():
    dataset = FakeRetrieval(collect_broken=True)
    sampler = DistributedSampler(dataset, shuffle=False)
    metrics = all_numbers(4, sampler)
    with pytest.raises(BrokenVideosError) as caught:
        make_loop(FakeRetrieval(collect_broken=True, broken=(2, 3)), sampler=sampler).run()
    return metrics, str(caught.value)


def test_two_processes_give_the_same_to_the_last_digit(tmp_path):
    expected = all_numbers(4)
    for metrics, listed in in_two_processes(two_process_numbers, tmp_path):
        assert metrics == expected
        assert 'v2.mp4: no moov atom' in listed and 'v3.mp4' in listed
