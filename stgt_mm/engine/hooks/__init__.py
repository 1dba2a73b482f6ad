"""Hooks: checkpoints, alignment stages, feature cache, metrics file, progress, replacements, time budget."""

from stgt_mm.engine.hooks.alignment_stage_hook import AlignmentStageHook
from stgt_mm.engine.hooks.checkpoint_hook import VideoTextCheckpointHook
from stgt_mm.engine.hooks.feature_cache_hook import FeatureCacheHook
from stgt_mm.engine.hooks.metrics_file_hook import MetricsFileHook
from stgt_mm.engine.hooks.progress_hook import ProgressHook
from stgt_mm.engine.hooks.replaced_clips_hook import ReplacedClipsHook
from stgt_mm.engine.hooks.time_budget_hook import TimeBudgetHook
from stgt_mm.engine.hooks.vision_norm_init_hook import VisionNormInitHook

__all__ = [
    'AlignmentStageHook',
    'FeatureCacheHook',
    'MetricsFileHook',
    'ProgressHook',
    'ReplacedClipsHook',
    'TimeBudgetHook',
    'VideoTextCheckpointHook',
    'VisionNormInitHook',
]
