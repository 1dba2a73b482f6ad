"""The masks of the renderer against what is seen in the frames."""

import json
from dataclasses import replace

import numpy as np
import pytest

from stgt_mm.moving_shapes import make_benchmark, masks, object_of, read_benchmark
from stgt_mm.moving_shapes.meaning import FAMILIES, Look
from stgt_mm.moving_shapes.motion import draw_tracks
from stgt_mm.moving_shapes.render import RGB, render


@pytest.fixture(scope='module')
def clips():
    found = {}
    for clip in make_benchmark(seed=5, train=200, val=9, test=60, one_fact=1).clips:
        found.setdefault(clip.meaning.family, []).append(clip)
    return found


@pytest.mark.parametrize('family', FAMILIES)
def test_a_mask_is_what_changes_when_its_object_is_taken_away(clips, family):
    backdrop, plain = np.full((48, 48, 3), 80, np.float32), np.zeros_like(RGB)
    for clip in clips[family][:6]:
        seen = masks(clip)
        assert seen.shape == (len(clip.meaning.objects), 16, 48, 48)
        tracks = draw_tracks(clip.meaning, np.random.default_rng(clip.seed))
        own = {look.shape: np.zeros((16, 48, 48)) for look in clip.meaning.objects}
        for place, track in enumerate(tracks):
            nothing = np.broadcast_to(backdrop, (16, *backdrop.shape))
            below = render(tracks[:place], backdrop, plain).astype(float) if place else nothing
            rest = tracks[:place] + tracks[place + 1 :]
            without = render(rest, backdrop, plain).astype(float) if rest else nothing
            change = np.linalg.norm(render(tracks, backdrop, plain) - without, axis=-1)
            possible = np.linalg.norm(RGB[track.colour][:, None, None] - below, axis=-1)
            own[track.shape] = np.maximum(own[track.shape], change / (possible + 1e-9))
        for look, mask in zip(clip.meaning.objects, seen):
            sure = np.abs(own[look.shape] - 0.5) > 0.02
            assert (mask == (own[look.shape] >= 0.5))[sure].all() and mask.any()
    if family == 'pass':
        shares = [
            (own.sum(axis=(1, 2)) / own.sum(axis=(1, 2)).max()).min()
            for clip in clips[family][:6]
            for own in masks(clip)
        ]
        assert min(shares) < 0.5, 'one is hidden in part'


def test_a_phrase_names_its_object(clips):
    clip = clips['duo'][0]
    first, second = clip.meaning.objects
    assert object_of(clip, f'Large {second.colour} {second.shape}') == 1
    assert object_of(clip, f'two {first.colour} {first.shape}s') == 0
    assert object_of(clip, f'{first.colour} {second.shape}') is None, 'both must be of one object'
    crossed = replace(clip, meaning=replace(clip.meaning, objects=(Look('red', 'cross'),)))
    assert object_of(crossed, 'red crosses') == 0


def test_the_benchmark_of_a_folder_is_found_again(small_moving_shapes, tmp_path):
    benchmark = read_benchmark(small_moving_shapes)
    assert {name: len(benchmark.of(name)) for name in ('train', 'val', 'test')} == dict(
        train=64, val=12, test=20
    )
    row = json.loads((small_moving_shapes / 'val.jsonl').open().readline())
    assert benchmark.clips[int(row['video_id'].removeprefix('video'))].text == row['text']
    with pytest.raises(FileNotFoundError, match='is it a Moving Shapes'):
        read_benchmark(tmp_path)
    for path in small_moving_shapes.glob('*.json*'):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    state = json.loads((tmp_path / 'moving_shapes.json').read_text())
    (tmp_path / 'moving_shapes.json').write_text(json.dumps({**state, 'seed': 1}))
    with pytest.raises(ValueError, match='not those of its seed 1'):
        read_benchmark(tmp_path)
