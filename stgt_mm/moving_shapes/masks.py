"""Masks of the objects of a clip: the ground truth of grounding, from the renderer."""

import json
from pathlib import Path

import numpy as np

from stgt_mm.moving_shapes.motion import draw_tracks
from stgt_mm.moving_shapes.render import visible_shares
from stgt_mm.moving_shapes.sets import TRAIN_CAPTIONS, Benchmark, Clip, make_benchmark

REMEDY = 'make the folder again: python tools/dataset_converters/moving_shapes.py'


def masks(clip: Clip) -> np.ndarray:
    """Returns the pixels at which each of ``clip.meaning.objects`` is seen, bool, shape (objects, T, H, W).

    What another object hides, or what has faded by half, is not seen. The equal objects of the family
    ``number`` are one.
    """
    tracks = draw_tracks(clip.meaning, np.random.default_rng(clip.seed))
    seen = visible_shares(tracks) >= 0.5
    # the shapes of a clip differ, the order of its tracks is that of hiding
    shapes = np.array([track.shape for track in tracks])
    return np.stack([seen[shapes == look.shape].any(axis=0) for look in clip.meaning.objects])


def object_of(clip: Clip, phrase: str) -> int | None:
    """Returns the index of the object that has the colour and the shape that a noun phrase says, or None."""
    words = phrase.lower().split()
    for index, look in enumerate(clip.meaning.objects):
        shapes = {look.shape, f'{look.shape}s', f'{look.shape}es'}
        if look.colour in words and shapes & {*words}:
            return index
    return None


def read_benchmark(root: str | Path) -> Benchmark:
    """Draws again, without rendering, the benchmark that a folder holds; clip n has the id ``video<n>``.

    Raises ``FileNotFoundError`` for a folder without one, ``ValueError`` where files and seed differ.
    """
    root = Path(root)
    if not (root / 'moving_shapes.json').is_file():
        raise FileNotFoundError(f"no moving_shapes.json in '{root}': is it a Moving Shapes? If so, {REMEDY}.")
    state = json.loads((root / 'moving_shapes.json').read_text(encoding='utf-8'))
    lines = {
        name: (root / f'{name}.jsonl').read_text(encoding='utf-8').splitlines()
        for name in ('train', 'val', 'test', 'one_fact')
    }
    sizes = {name: len(own) for name, own in lines.items()}
    sizes['train'] //= TRAIN_CAPTIONS
    benchmark = make_benchmark(state['seed'], **sizes)
    said = [(row['video_id'], row['text']) for row in map(json.loads, lines['test'])]
    drawn = [(clip.video_id, clip.text) for clip in benchmark.of('test')]
    if len(benchmark.clips) != state['clips'] or said != drawn:
        raise ValueError(f"the files in '{root}' are not those of its seed {state['seed']}: {REMEDY}.")
    return benchmark
