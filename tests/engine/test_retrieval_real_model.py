"""The real tiny model in float32 on real clips: the same bits with any batch size and number of processes."""

from pathlib import Path

import torch
from fake_retrieval import StubRunner, digest_of_scores
from gloo_pair import in_two_processes
from mmengine.evaluator import Evaluator
from torch.utils.data import DataLoader, DistributedSampler

from stgt_mm.config import load_config
from stgt_mm.datasets import RetrievalDataset, video_text_collate
from stgt_mm.engine.loops.retrieval_loop import RetrievalLoop
from stgt_mm.evaluation import RetrievalMetric
from stgt_mm.registry import MODELS

CONFIG = Path(__file__).parents[2] / 'configs/moving_shapes/stgt_tiny.py'


def make_real_loop(data, batch_size, processes=False, **options):
    cfg = load_config(str(CONFIG), {})
    torch.manual_seed(3)
    cfg.model.data_preprocessor.tokenizer.vocab = str(data / 'vocab.txt')
    pipeline = cfg.test_dataloader.dataset.pipeline
    dataset = RetrievalDataset(data / 'test.jsonl', data / 'videos', pipeline, collect_broken=True)
    sampler = DistributedSampler(dataset, shuffle=False) if processes else None
    loader = DataLoader(dataset, batch_size=batch_size, sampler=sampler, collate_fn=video_text_collate)
    processors = [{'type': 'DSL'}, {'type': 'QBNorm', 'bank': str(data / 'train.jsonl')}]
    options = {'rerank_k': 6, 'post_processors': processors, **options}
    runner = StubRunner(MODELS.build(cfg.model).train())
    return RetrievalLoop(runner, loader, Evaluator(RetrievalMetric()), **options)


def numbers(data, batch_size, processes=False, block=1):
    loop = make_real_loop(data, batch_size, processes, encode_block=block)
    return {**loop.run(), 'digest': digest_of_scores(loop)}


def numbers_with_blocks(data, batch_size, processes=False):
    return [numbers(data, batch_size, processes, block) for block in (1, 4)]


def test_batch_size_and_processes_change_no_bit(small_moving_shapes, tmp_path):
    first, in_blocks = both = numbers_with_blocks(small_moving_shapes, 1)
    assert {'t2v/R1', 'sim_t2v/R1', 'sim_t2v_dsl/R1', 'sim_v2t_dsl/R1', 'sim_t2v_qbnorm/R1'} <= set(first)
    assert 'sim_v2t_qbnorm/R1' not in first
    assert numbers(small_moving_shapes, 7) == first == numbers(small_moving_shapes, 20)
    assert numbers(small_moving_shapes, 7, block=4) == in_blocks
    assert in_two_processes(numbers_with_blocks, tmp_path, small_moving_shapes, 3, True) == [both, both]


def test_a_sweep_equals_separate_runs(small_moving_shapes):
    loop = make_real_loop(small_moving_shapes, 4)
    split = loop.encode()
    swept = loop.sweep_rerank_k(split, [0, 3, 50])
    assert make_real_loop(small_moving_shapes, 4, rerank_k=3).run() == swept[3]
    for k, metrics in swept.items():
        assert make_real_loop(small_moving_shapes, 4, rerank_k=k).evaluate(split) == metrics
