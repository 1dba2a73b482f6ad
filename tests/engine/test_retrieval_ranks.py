"""Ranks of the loop against sorting the full matrix, for any batch size and number of processes."""

import pytest
import torch
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

from stgt_mm.datasets import EpochSampler
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


def all_numbers(batch_size, sampler=None, block=1):
    options = {'score_fusion': 'calibrated', 'rerank_k': 5, 'calibrate': True, 'encode_block': block}
    loop = make_loop(None, batch_size, None, ['facts'], sampler, **options)
    return {**loop.run(), 'digest': digest_of_scores(loop)}


def test_the_batch_size_and_repeated_samples_change_no_digit():
    first = all_numbers(1)
    for batch_size in (3, 23):
        assert all_numbers(batch_size) == first
    assert all_numbers(4, sampler=[*range(23), 3, 3, 0]) == first
    with pytest.raises(RuntimeError, match='left out 2 of 23 videos, the first is number 21'):
        all_numbers(4, sampler=list(range(21)))


def test_blocks_of_videos_keep_their_promise_whatever_comes_together():
    """Members, rows and shapes come from the index: also with clips in another order, or broken ones."""
    first = all_numbers(1, block=4)
    assert first == all_numbers(4, block=4) == all_numbers(23, [*range(5, 23), 6, *range(5)], block=4)
    assert first['t2v/MnR'] == pytest.approx(all_numbers(4)['t2v/MnR'])
    loop = make_loop(rerank_k=1000, encode_block=4)
    loop.run()
    assert loop.model.calls == [4] * 6 and loop.protocol['encode_block'] == 4
    found = loop.rank(loop.encode(), [1000])[1000]
    wanted = make_loop(rerank_k=1000)
    for ranking, other in zip(found, wanted.rank(wanted.encode(), [1000])[1000], strict=True):
        for (_, scores, *_), (_, expected, *_) in zip(ranking.blocks(), other.blocks(), strict=True):
            assert torch.allclose(scores, expected, atol=1e-5)
    less = {'broken': (1, 4, 5, 6, 7, 22), 'collect_broken': True}
    options = {'skip_broken': True, 'rerank_k': 3, 'choices': ['facts']}
    digests = [
        digest_of_scores(make_loop(FakeRetrieval(**less), size, encode_block=4, **options))
        for size in (2, 23)
    ]
    assert digests[0] == digests[1]
    with pytest.raises(ValueError, match='encode_block=0'):
        make_loop(encode_block=0)


def test_clips_of_two_shapes_are_no_block():
    dataset = FakeRetrieval(collect_broken=True)
    dataset.clips = [clip[: 5 - index % 2] for index, clip in enumerate(dataset.clips)]
    assert make_loop(dataset, 1).run()
    with pytest.raises(ValueError, match=r'encode_block=4: videos \[0, 1, 2, 3\] .*Set encode_block=1'):
        make_loop(dataset, 1, encode_block=4).run()


def two_process_numbers():
    dataset = FakeRetrieval(collect_broken=True)
    sampler = DistributedSampler(dataset, shuffle=False)
    metrics = all_numbers(4, sampler)
    # blocks that a process has one half of, and blocks dealt out whole: of 6 it makes 3
    blocks = [all_numbers(size, own, 4) for size, own in ((3, sampler), (2, EpochSampler(dataset, False)))]
    loop = make_loop(sampler=EpochSampler(dataset, False), encode_block=4)
    loop.encode()
    assert loop.model.calls == [4] * 3
    with pytest.raises(BrokenVideosError) as caught:
        make_loop(FakeRetrieval(collect_broken=True, broken=(2, 3)), sampler=sampler).run()
    return metrics, blocks, str(caught.value)


def test_two_processes_give_the_same_to_the_last_digit(tmp_path):
    expected, in_blocks = all_numbers(4), all_numbers(4, block=4)
    for metrics, blocks, listed in in_two_processes(two_process_numbers, tmp_path):
        assert metrics == expected and blocks == [in_blocks] * 2
        assert 'v2.mp4: no moov atom' in listed and 'v3.mp4' in listed
