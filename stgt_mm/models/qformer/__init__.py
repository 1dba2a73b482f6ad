"""Q-Former: a BERT with learnt queries that read a video, in blocks of our own.

Legend of the package: V videos, k texts a video, M video tokens, C their width, Q queries, L text
tokens, D width, H heads, d = D / H.
"""

from stgt_mm.models.qformer.attention import KeysValues
from stgt_mm.models.qformer.embeddings import CausalHead, QFormerEmbeddings
from stgt_mm.models.qformer.layer import QFormerLayer
from stgt_mm.models.qformer.qformer import QFormer, VideoKeysValues, select_videos

__all__ = [
    'CausalHead',
    'KeysValues',
    'QFormer',
    'QFormerEmbeddings',
    'QFormerLayer',
    'VideoKeysValues',
    'select_videos',
]
