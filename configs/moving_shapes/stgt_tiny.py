"""Tiny STGT on Moving Shapes, both stages of the paper (VTC+VTM+VTG, then CSAL+VTM+VTG): the quickstart."""

from mmengine.config import read_base

with read_base():
    from .._base_.datasets.moving_shapes import *
    from .._base_.default_runtime import *
    from .._base_.models.stgt_tiny import *
    from .._base_.schedules.tiny import *

from stgt_mm.engine.hooks import AlignmentStageHook

stages = [(8, 6e-3), (2, 2e-3)]
param_scheduler.stages = stages
custom_hooks.insert(1, dict(type=AlignmentStageHook, stages=[(8, 1.0), (2, 0.0)]))
