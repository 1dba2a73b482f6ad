import numpy as np
import pytest
import torch
from mmengine.structures import BaseDataElement

from stgt_mm.datasets.frame_sampling import sample_frame_indices
from stgt_mm.datasets.transforms import PackVideoText, RandAugment, RandomResizedCrop, Resize, ReverseTime
from stgt_mm.datasets.transforms.augmentation import OPERATIONS
from stgt_mm.functional.text_cleaning import clean_caption


def still(frames=3, height=20, width=30):
    """One random picture, shown several times."""
    picture = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (3, height, width), dtype=np.uint8))
    return picture.repeat(frames, 1, 1, 1)


def results(frames, seed=0, **keys):
    return {'frames': frames, 'rng': np.random.default_rng(seed), 'record': {}, **keys}


@pytest.mark.parametrize(('total', 'count'), [(8, 8), (9, 8), (77, 8), (300, 5), (1, 1)])
def test_uniform_is_floor(total, count):
    expected = [int(i * total / count + 1e-9) for i in range(count)]
    assert sample_frame_indices(total, count).tolist() == expected


@pytest.mark.parametrize('sampling', ['uniform', 'headtail'])
def test_short_clip_repeats_its_last_frame(sampling):
    rng = np.random.default_rng(0)
    assert sample_frame_indices(3, 8, sampling, rng).tolist() == [0, 1, 2, 2, 2, 2, 2, 2]


@pytest.mark.parametrize(('total', 'count'), [(8, 8), (9, 8), (77, 8), (77, 7), (7, 7)])
def test_headtail_takes_half_from_each_half(total, count):
    rng = np.random.default_rng(1)
    draws = [sample_frame_indices(total, count, 'headtail', rng).tolist() for _ in range(200)]
    for draw in draws:
        assert draw == sorted(set(draw)) and len(draw) == count and draw[0] >= 0 and draw[-1] < total
        assert sum(index < total // 2 for index in draw) == count // 2
    assert {index for draw in draws for index in draw} == set(range(total))


def test_sampling_refuses_nonsense():
    for arguments in [(0, 8), (8, 0), (8, 4, 'random'), (8, 4, 'headtail')]:
        with pytest.raises(ValueError):
            sample_frame_indices(*arguments)


def test_resize_is_free_at_the_right_size():
    frames = still()
    assert Resize((20, 30))(results(frames))['frames'] is frames
    for options in ({}, {'interpolation': 'bilinear'}, {'interpolation': 'bilinear', 'antialias': False}):
        small = Resize((10, 15), **options)(results(frames))['frames']
        wanted = {
            'mode': options.get('interpolation', 'bicubic'),
            'antialias': options.get('antialias', True),
        }
        reference = torch.nn.functional.interpolate(frames.double(), (10, 15), **wanted)
        assert small.dtype == torch.uint8
        assert (small.double() - reference.clamp(0, 255)).abs().max() <= 1.01
    changed = Resize(8, 'bilinear', antialias=False)  # feature caches are named after it
    assert repr(Resize(8)) == 'Resize(size=(8, 8))' != repr(Resize(8, 'bilinear')) != repr(changed)


def test_crop_is_the_same_for_all_frames_and_within_scale():
    crop = RandomResizedCrop((12, 10), scale=(0.5, 1.0))
    out = crop(results(still()))['frames']
    assert out.shape == (3, 3, 12, 10) and torch.equal(out[0], out[1]) and torch.equal(out[0], out[2])
    rng = np.random.default_rng(0)
    for _ in range(200):
        top, left, height, width = crop.window(200, 300, rng)
        assert top >= 0 and top + height <= 200 and left >= 0 and left + width <= 300
        assert 0.49 <= height * width / 60000 <= 1.0
        assert 0.74 <= width / height <= 1.35
    assert crop.window(1, 100, rng)[2:] == (1, 1)


def test_randaugment_same_for_all_frames_and_depends_on_rng_only():
    augment = RandAugment(2, 5)
    outs = []
    for seed in range(12):
        first = augment(results(still(), seed))['frames']
        assert torch.equal(first, augment(results(still(), seed))['frames'])
        assert first.dtype == torch.uint8 and first.shape == still().shape
        assert torch.equal(first[0], first[1]) and torch.equal(first[0], first[2])
        outs.append(first)
    assert sum(not torch.equal(out, outs[0]) for out in outs) >= 8


@pytest.mark.parametrize('name', sorted(OPERATIONS))
@pytest.mark.parametrize('amount', [-1.0, 0.5])
def test_operation_keeps_shape_type_and_input(name, amount):
    frames = still()
    before = frames.clone()
    out = OPERATIONS[name](frames, amount)
    assert out.shape == frames.shape and out.dtype == torch.uint8 and torch.equal(frames, before)
    if name != 'AutoContrast':
        assert torch.equal(out, frames) == (name == 'Identity')


@pytest.mark.parametrize(
    ('transform', 'options'),
    [
        (RandAugment, {'magnitude': 11}),
        (RandAugment, {'operations': ('Rotat',), 'num_ops': 1}),
        (RandAugment, {'num_ops': 11}),
        (Resize, {'size': 0}),
        (Resize, {'size': 8, 'interpolation': 'cubic'}),
        (RandomResizedCrop, {'size': 8, 'scale': (0.0, 1.0)}),
    ],
)
def test_bad_options_are_refused(transform, options):
    with pytest.raises(ValueError):
        transform(**options)


def test_reverse_only_where_asked():
    frames = torch.arange(3, dtype=torch.uint8).view(3, 1, 1, 1).expand(3, 3, 2, 2)
    plain = ReverseTime()(results(frames, frame_indices=(0, 4, 8)))
    assert plain['frame_indices'] == (0, 4, 8)
    turned = ReverseTime()({**results(frames, frame_indices=(0, 4, 8)), 'record': {'reverse': True}})
    assert turned['frames'][:, 0, 0, 0].tolist() == [2, 1, 0] and turned['frame_indices'] == (8, 4, 0)


def test_caption_cleaning():
    assert clean_caption('A "Red" cat, (big)... runs: LEFT!#1*;~') == 'a red cat, big runs left 1'
    assert clean_caption('a b c d', max_words=2) == 'a b'
    assert clean_caption(clean_caption("It's A. Dog")) == clean_caption("It's A. Dog") == "it's a dog"


def test_pack_prefers_tokens_and_names_missing_keys():
    tokens = torch.zeros(2, 5, 4, dtype=torch.float16)
    packed = PackVideoText(['kind'])(
        {**results(still()), 'tokens': tokens, 'video': 'v', 'record': {'kind': 'order'}, 'sample_idx': 3}
    )
    assert packed['inputs'] is tokens and isinstance(packed['data_samples'], BaseDataElement)
    assert packed['data_samples'].metainfo == {'sample_idx': 3, 'video': 'v', 'kind': 'order'}
    with pytest.raises(KeyError, match='kind'):
        PackVideoText(['kind'])({**results(still()), 'video': 'v'})
