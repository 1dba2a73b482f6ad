"""Data sets, the order of their samples, batches of them, and a cache of frozen features."""

from stgt_mm.datasets.caption_choice_dataset import CaptionChoiceDataset
from stgt_mm.datasets.clip_dataset import ClipDataset
from stgt_mm.datasets.collate import video_text_collate
from stgt_mm.datasets.feature_cache import FeatureCache, FeatureCacheError
from stgt_mm.datasets.feature_warming import prepare_feature_cache, warm_cache
from stgt_mm.datasets.mixed_dataset import MixedDataset
from stgt_mm.datasets.records import AnnotationError, MissingVideosError, read_records, write_records
from stgt_mm.datasets.retrieval_dataset import RetrievalDataset
from stgt_mm.datasets.samplers import EpochIndex, EpochSampler, set_data_progress
from stgt_mm.datasets.source_batches import SourceBatchSampler
from stgt_mm.datasets.video_action_dataset import VideoActionDataset
from stgt_mm.datasets.video_caption_dataset import VideoCaptionDataset
from stgt_mm.datasets.video_qa_dataset import VideoQADataset
from stgt_mm.datasets.video_text_dataset import VideoTextDataset

__all__ = [
    'AnnotationError',
    'CaptionChoiceDataset',
    'ClipDataset',
    'EpochIndex',
    'EpochSampler',
    'FeatureCache',
    'FeatureCacheError',
    'MissingVideosError',
    'MixedDataset',
    'RetrievalDataset',
    'SourceBatchSampler',
    'VideoActionDataset',
    'VideoCaptionDataset',
    'VideoQADataset',
    'VideoTextDataset',
    'prepare_feature_cache',
    'read_records',
    'set_data_progress',
    'video_text_collate',
    'warm_cache',
    'write_records',
]
