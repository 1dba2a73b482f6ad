"""Moving Shapes: a benchmark of short clips in which the order of events matters, made from one seed."""

from stgt_mm.moving_shapes.build import clip_frames, render_clips, write_annotations
from stgt_mm.moving_shapes.masks import masks, object_of, read_benchmark
from stgt_mm.moving_shapes.meaning import KINDS, ORDER_KINDS, STATE_KINDS, Look, Meaning
from stgt_mm.moving_shapes.sets import Benchmark, Clip, make_benchmark

__all__ = [
    'KINDS',
    'ORDER_KINDS',
    'STATE_KINDS',
    'Benchmark',
    'Clip',
    'Look',
    'Meaning',
    'clip_frames',
    'make_benchmark',
    'masks',
    'object_of',
    'read_benchmark',
    'render_clips',
    'write_annotations',
]
