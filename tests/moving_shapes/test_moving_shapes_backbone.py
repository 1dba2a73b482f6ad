"""The labels of single frames, and the tiny backbone that was trained on them."""

import json
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
import torch
from labelled_frames import IGNORE, draw_frames

import stgt_mm
from stgt_mm.models.backbones.timm_vit import TimmViT
from stgt_mm.models.backbones.weights import resolve_weights
from stgt_mm.moving_shapes.build import clip_frames
from stgt_mm.moving_shapes.meaning import COLOURS, SHAPES
from stgt_mm.moving_shapes.render import RGB
from stgt_mm.moving_shapes.sets import make_benchmark

WEIGHTS = 'package://stgt_mm/weights/tiny_vit.safetensors'


@pytest.fixture(scope='module')
def facts():
    return json.loads(resolve_weights(WEIGHTS).with_suffix('.json').read_text())


@pytest.fixture(scope='module')
def backbone(facts):
    return TimmViT(**facts['model'], checkpoint=WEIGHTS)


def _tokens(backbone, facts, frames):
    video = (torch.from_numpy(frames).float() - torch.tensor(facts['mean'])) / torch.tensor(facts['std'])
    return backbone(video.permute(0, 3, 1, 2)[None])[0]


def test_labels_have_documented_shapes():
    drawn = draw_frames(np.random.default_rng(0), count=5)
    assert drawn.frames.shape == (5, 48, 48, 3) and drawn.frames.dtype == np.uint8
    for name in ('owner', 'shape', 'colour', 'radius'):
        assert getattr(drawn, name).shape == (5, 36)
    assert drawn.offset.shape == (5, 36, 2) and drawn.area.shape == (5,)
    assert drawn.shapes_present.shape == (5, len(SHAPES))
    assert drawn.colours_present.shape == (5, len(COLOURS))


def test_labels_say_what_is_drawn():
    """The patch that holds an object's centre shows the colour of its label (not for a ring's hole)."""
    rng, checked = np.random.default_rng(1), 0
    for _ in range(60):
        drawn = draw_frames(rng, count=4, artefacts=False)
        patches = drawn.frames.reshape(4, 6, 8, 6, 8, 3).transpose(0, 1, 3, 2, 4, 5).reshape(4, 36, 64, 3)
        central = (np.abs(drawn.offset).max(axis=-1) < 0.4) & (drawn.owner > 0) & (drawn.radius > 0.9)
        central &= drawn.shape != SHAPES.index('ring') + 1
        for frame, patch in zip(*np.nonzero(central)):
            distance = np.abs(patches[frame, patch, :, None].astype(float) - RGB[None]).sum(axis=-1)
            nearest = np.bincount(distance.argmin(axis=1)[distance.min(axis=1) < 60], minlength=len(RGB))
            assert nearest.argmax() == drawn.colour[frame, patch] - 1
            checked += 1
    assert checked > 30


def test_labels_agree_with_each_other():
    rng = np.random.default_rng(2)
    for _ in range(10):
        drawn = draw_frames(rng)
        for label in (drawn.shape, drawn.colour):
            assert ((label == IGNORE) == (drawn.owner == IGNORE)).all()
            assert ((label == 0) == (drawn.owner == 0)).all()
        assert ((drawn.radius > 0) == (drawn.owner > 0)).all()


def test_weights_are_small_and_are_those_that_the_facts_describe(facts):
    path = resolve_weights(WEIGHTS)
    assert path.stat().st_size <= 1_500_000
    assert sha256(path.read_bytes()).hexdigest() == facts['sha256']
    assert {'command', 'seed', 'measured'} <= set(facts)
    assert Path(stgt_mm.__file__).parent in path.parents


def test_backbone_sees_objects(backbone, facts):
    """A linear readout of colour, and cosines: inside an object high, to the rest low."""
    drawn = [draw_frames(np.random.default_rng([3, number])) for number in range(40)]
    tokens = torch.cat([_tokens(backbone, facts, scene.frames) for scene in drawn])[:, 1:]
    owner = torch.from_numpy(np.concatenate([scene.owner for scene in drawn]))
    cosine = torch.nn.functional.normalize(tokens, dim=-1)
    cosine = cosine @ cosine.transpose(1, 2)
    known = (owner[:, :, None] > 0) & (owner[:, None, :] != IGNORE)
    same = owner[:, :, None] == owner[:, None, :]
    assert (cosine[known & same] >= 0.5).float().mean() > 0.97
    linked = cosine[known] >= 0.5
    assert same[known][linked].float().mean() > 0.75
    is_object = owner > 0
    colour = torch.from_numpy(np.concatenate([scene.colour for scene in drawn]))[is_object] - 1
    features = tokens[is_object]
    half = len(features) // 2
    target = torch.nn.functional.one_hot(colour, len(COLOURS)).float()
    weight = torch.linalg.lstsq(features[:half], target[:half]).solution
    assert ((features[half:] @ weight).argmax(dim=1) == colour[half:]).float().mean() > 0.9


def test_backbone_takes_clips_of_the_benchmark(backbone, facts):
    clip = make_benchmark(train=4, val=9, test=9, one_fact=13).clips[0]
    tokens = _tokens(backbone, facts, clip_frames(clip)[::2])
    assert tokens.shape == (8, 37, 96)
    assert torch.isfinite(tokens).all() and 0.5 < tokens.square().mean().sqrt() < 5.0
