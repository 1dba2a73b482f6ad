import pickle
from collections import Counter

import numpy as np
import pytest
from mmengine.runner import Runner
from torch.utils.data import BatchSampler, DataLoader

from stgt_mm.datasets.samplers import EpochIndex, EpochSampler, set_data_progress
from stgt_mm.moving_shapes.group_batches import Curriculum, GroupPlan, batches_of_steps, plan_batches
from stgt_mm.moving_shapes.group_sampler import GroupBatchSampler


class Records:
    """A data set of numbers with records: groups of four, every second group with one object."""

    def __init__(self, size, captions=1, grouped=True):
        self.records = [
            {
                'video': f'{n // captions}.mp4',
                'video_id': str(n // captions),
                'objects': 1 + (n // 4) % 2,
                **({'group': n // 4} if grouped else {}),
            }
            for n in range(size)
        ]

    def __len__(self):
        return len(self.records)

    def __getitem__(self, index):
        return int(index), index.epoch, index.seed


def batches(data, size, epoch=0, rank=0, world=1, start=0, **options):
    sampler = EpochSampler(data, seed=3, rank=rank, world_size=world)
    group = GroupBatchSampler(sampler, size, **options)
    sampler.set_epoch(epoch)
    if start:
        sampler.set_progress(epoch, start, size)
    return list(group)


def test_index_survives_a_worker():
    index = pickle.loads(pickle.dumps(EpochIndex(5, 2, 9)))  # noqa: S301
    assert (index, index.epoch, index.seed) == (5, 2, 9) and [10, 11, 12, 13, 14, 15][index] == 15


def test_epochs_are_permutations_that_differ_and_repeat():
    sampler = EpochSampler(range(20), seed=1, rank=0, world_size=1)
    first = list(sampler)
    sampler.set_epoch(1)
    second = list(sampler)
    assert sorted(first) == sorted(second) == list(range(20)) and first != second != list(range(20))
    assert {index.epoch for index in second} == {1}
    again = EpochSampler(range(20), seed=1, rank=0, world_size=1)
    again.set_epoch(1)
    assert list(again) == second
    assert list(EpochSampler(range(20), seed=2, rank=0, world_size=1)) != first


def test_union_over_processes_is_the_single_process_batch():
    single = list(BatchSampler(EpochSampler(range(26), seed=1, rank=0, world_size=1), 6, drop_last=True))
    samplers = [EpochSampler(range(26), seed=1, rank=rank, world_size=3) for rank in range(3)]
    parts = [list(BatchSampler(sampler, 2, drop_last=True)) for sampler in samplers]
    assert len({len(part) for part in parts}) == 1 == len({len(sampler) for sampler in samplers})
    assert [sorted(a + b + c) for a, b, c in zip(*parts, strict=True)] == [sorted(batch) for batch in single]


def test_evaluation_takes_each_once_in_order():
    samplers = [EpochSampler(range(10), shuffle=False, seed=0, rank=rank, world_size=3) for rank in range(3)]
    parts = [list(sampler) for sampler in samplers]
    assert [len(part) for part in parts] == [len(sampler) for sampler in samplers] == [4, 3, 3]
    assert sorted(index for part in parts for index in part) == list(range(10)) and parts[0] == [0, 3, 6, 9]
    for sampler in samplers:
        sampler.block = 4  # neighbours stay together, those of the last block too
    assert [list(sampler) for sampler in samplers] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    assert [len(sampler) for sampler in samplers] == [4, 4, 2]


@pytest.mark.parametrize('grouped', [False, True])
@pytest.mark.parametrize('workers', [0, 1])
def test_loader_goes_on_in_the_middle_of_an_epoch(grouped, workers):
    def loader():
        data = Records(32)
        sampler = EpochSampler(data, seed=3, rank=0, world_size=1)
        if grouped:
            batch = GroupBatchSampler(sampler, 8, group_fraction=0.5)
            return DataLoader(data, batch_sampler=batch, num_workers=workers, collate_fn=list)
        return DataLoader(data, 8, sampler=sampler, num_workers=workers, collate_fn=list)

    whole = loader()
    whole.batch_sampler.sampler.set_epoch(2)
    expected = list(whole)
    resumed = loader()
    set_data_progress(resumed, 2, 1)
    resumed.batch_sampler.sampler.set_epoch(2)
    assert len(resumed) == len(expected) == 4 and list(resumed) == expected[1:]
    assert list(resumed) == expected
    assert expected[0][0][1:] == (2, 3)
    with pytest.raises(ValueError, match='EpochSampler'):
        set_data_progress(DataLoader(range(4)), 0, 1)


def test_groups_fill_their_share_and_nothing_repeats():
    seen = Counter()
    for batch in batches(Records(96), 16, group_fraction=0.5):
        assert len(batch) == len(set(batch)) == 16
        sizes = Counter(index // 4 for index in batch[:8])
        assert sorted(sizes.values()) == [4, 4]
        seen.update(batch)
    assert seen == Counter(range(96))


def test_no_video_twice_with_many_captions():
    for epoch in range(3):
        for batch in batches(Records(120, captions=5, grouped=False), 20, epoch=epoch, group_fraction=0):
            assert len({index // 5 for index in batch}) == 20
    crowded = batches(Records(40, captions=20, grouped=False), 8, group_fraction=0)
    assert all(len(batch) == 8 and {index // 20 for index in batch} == {0, 1} for batch in crowded)


def test_grouped_union_over_processes():
    single = batches(Records(64), 16, epoch=1, group_fraction=0.5)
    parts = [batches(Records(64), 8, epoch=1, rank=rank, world=2, group_fraction=0.5) for rank in range(2)]
    assert [sorted(a + b) for a, b in zip(*parts, strict=True)] == [sorted(batch) for batch in single]


def test_curriculum_then_everything():
    options = {
        'group_fraction': 0.5,
        'curriculum': {'key': 'objects', 'max_value': 1, 'until': 0.375},
        'max_epochs': 4,
    }
    easy = [
        [
            all((index // 4) % 2 == 0 for index in batch)
            for batch in batches(Records(64), 16, epoch, **options)
        ]
        for epoch in range(4)
    ]
    assert easy == [[True] * 4, [True, True, False, False], [False] * 4, [False] * 4]
    assert batches(Records(64), 16, 1, start=2, **options) == batches(Records(64), 16, 1, **options)[2:]


@pytest.mark.parametrize(
    ('options', 'words'),
    [
        ({'size': 99}, 'Lower train_dataloader.batch_size'),
        ({'group_fraction': 1.5}, 'between 0 and 1'),
        ({'group_fraction': 0.1}, 'less than one group'),
        ({'group_size': 1}, 'at least 2'),
        ({'curriculum': {}}, 'max_epochs'),
        ({'curriculum': {'key': 'level'}, 'max_epochs': 2}, "curriculum.key='level'"),
        ({'curriculum': {'max_value': 0}, 'max_epochs': 2}, 'raise max_value'),
        ({'data': Records(32, grouped=False)}, 'group'),
    ],
)
def test_options_that_cannot_work(options, words):
    options = {'data': Records(32), 'size': 16, **options}
    with pytest.raises(ValueError, match=words):
        batches(**options)


def test_mmengine_builds_both_from_configs():
    loader = Runner.build_dataloader(
        {
            'batch_size': 8,
            'num_workers': 0,
            'dataset': Records(32),
            'sampler': {'type': 'stgt_mm.EpochSampler', 'shuffle': True},
            'batch_sampler': {'type': 'stgt_mm.GroupBatchSampler', 'group_fraction': 0.5},
            'collate_fn': {'type': list},
        },
        seed=7,
    )
    assert len(loader) == 4 and {item[2] for batch in loader for item in batch} == {7}


def test_easy_batches_may_hold_another_share_of_groups():
    records = [
        {'video_id': f'v{i}', 'video': f'v{i}', 'group': i // 4, 'objects': 1 + i % 8 // 4} for i in range(64)
    ]
    curriculum = Curriculum(key='objects', max_value=1, until=0.5, group_fraction=1.0)
    plan = GroupPlan(records, 8, 4, 0.0, [curriculum])
    batches = plan_batches(plan, [4, 4], np.random.default_rng(0))
    whole = [len({records[i]['group'] for i in batch}) == 2 for batch in batches]
    assert whole[:4] == [True] * 4 and not all(whole[4:])
    with pytest.raises(ValueError, match='group_fraction=2'):
        Curriculum(group_fraction=2)


def test_a_curriculum_of_several_steps():
    records = [{'video_id': f'v{i}', 'video': f'v{i}', 'level': 1 + i // 16} for i in range(48)]
    steps = [{'key': 'level', 'max_value': value, 'until': until} for value, until in ((1, 0.25), (2, 0.5))]
    data = Records(48)
    data.records = records
    sampler = EpochSampler(data, seed=0, rank=0, world_size=1)
    batches = GroupBatchSampler(sampler, 8, group_fraction=0.0, curriculum=steps, max_epochs=2)
    highest = []
    for epoch in range(2):
        sampler.set_epoch(epoch)
        highest += [max(records[int(i)]['level'] for i in batch) for batch in batches]
    assert highest[:3] == [1] * 3 and set(highest[3:6]) == {2} and set(highest[6:]) == {3}
    assert batches_of_steps(batches.curriculum, 0, 6, 2) == [3, 3, 0]
    assert batches_of_steps(batches.curriculum, 1, 6, 2) == [0, 0, 6]
    with pytest.raises(ValueError, match='in the order of their `until`'):
        GroupBatchSampler(sampler, 8, group_fraction=0.0, curriculum=steps[::-1], max_epochs=2)


@pytest.mark.parametrize('size', [6, 10, 25])
def test_an_epoch_of_another_size_keeps_the_order_over_processes(size):
    data = list(range(10))
    whole = EpochSampler(data, seed=3, rank=0, world_size=1, samples_per_epoch=size)
    order = [int(index) for index in whole]
    assert len(order) == len(whole) == size
    assert [order.count(index) for index in data] <= [-(-size // 10)] * 10
    assert order[:10] == [int(i) for i in EpochSampler(data, seed=3, rank=0, world_size=1)][:size]
    halves = [
        [int(i) for i in EpochSampler(data, seed=3, rank=rank, world_size=2, samples_per_epoch=size)]
        for rank in (0, 1)
    ]
    even = size - size % 2
    assert halves == [order[:even][0::2], order[:even][1::2]]


def test_an_epoch_of_another_size_is_for_training():
    with pytest.raises(ValueError, match='samples_per_epoch=4 with shuffle=False'):
        EpochSampler([1, 2], shuffle=False, samples_per_epoch=4)
    with pytest.raises(ValueError, match='samples_per_epoch=0'):
        EpochSampler([1, 2], samples_per_epoch=0)
