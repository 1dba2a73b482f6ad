"""Models: backbones, necks, Q-Former, heads, losses, and the models that assemble them."""

from stgt_mm.models.aligners import DualEncoder, SViLM, VideoFeatures, VideoTextAligner
from stgt_mm.models.answerers import CausalLanguageModel, DualEncoderAnswerer, VideoQuestionAnswerer
from stgt_mm.models.backbones import GroupedViT, TimmViT
from stgt_mm.models.batch_transforms import CutPasteBlend, NounPrompts
from stgt_mm.models.classifiers import ActionClassifier
from stgt_mm.models.data_preprocessor import VideoTextDataPreprocessor
from stgt_mm.models.heads import (
    ActionHead,
    AnswerHead,
    CaptionHead,
    ContrastiveHead,
    MatchingHead,
    NounGroundingHead,
    TemporalGroupingHead,
)
from stgt_mm.models.losses import CSAL, VTC, VTG, VTM
from stgt_mm.models.necks import STGT, BaseNeck, CrossFrameNeck, MeanPoolNeck
from stgt_mm.models.pretrained_tokenizer import PretrainedTokenizer
from stgt_mm.models.qformer import QFormer
from stgt_mm.models.structure_losses import NounGroundingLoss, TemporalGroupingLoss
from stgt_mm.models.text_encoder import TextEncoder
from stgt_mm.models.tokenizer import WordPieceTokenizer
from stgt_mm.models.towers import OpenCLIPTowers, TransformersTowers
from stgt_mm.models.video_encoder import VideoEncoder

__all__ = [
    'CSAL',
    'STGT',
    'VTC',
    'VTG',
    'VTM',
    'ActionClassifier',
    'ActionHead',
    'AnswerHead',
    'BaseNeck',
    'CaptionHead',
    'CausalLanguageModel',
    'ContrastiveHead',
    'CrossFrameNeck',
    'CutPasteBlend',
    'DualEncoder',
    'DualEncoderAnswerer',
    'GroupedViT',
    'MatchingHead',
    'MeanPoolNeck',
    'NounGroundingHead',
    'NounGroundingLoss',
    'NounPrompts',
    'OpenCLIPTowers',
    'PretrainedTokenizer',
    'QFormer',
    'SViLM',
    'TemporalGroupingHead',
    'TemporalGroupingLoss',
    'TextEncoder',
    'TimmViT',
    'TransformersTowers',
    'VideoEncoder',
    'VideoFeatures',
    'VideoQuestionAnswerer',
    'VideoTextAligner',
    'VideoTextDataPreprocessor',
    'WordPieceTokenizer',
]
