"""STGT on PE-Core L/14 at its 336 px: pre-training on WebVid-10M, both stages in one run, P = 256.

    bash tools/dist_train.sh configs/stgt/pretrain_pe_core_l14.py 8

BLIP-2's Q-Former knows another backbone: here it starts from BERT, the rest from random weights.
"""

from mmengine.config import read_base

with read_base():
    from .pretrain_w10m import *

name = 'vit_pe_core_large_patch14_336.fb'
model.backbone = dict(type=TimmViT, model_name=name, checkpoint=f'weights/{name}/model.safetensors')
model.neck.update(embed_dims=1024, grid_size=24)
model.qformer.vision_width = 1024
train_dataloader.dataset.pipeline[1].size = test_dataloader.dataset.pipeline[1].size = 336
load_from = 'weights/bert_qformer.safetensors'
cross = [f'qformer.layers.{n}.cross_{part}' for n in range(0, 12, 2) for part in ('attention', 'residual')]
load_strict = [
    'neck',
    'vision_norm',
    'qformer.embeddings.queries',
    *cross,
    'contrastive_head',
    'matching_head',
]
test_evaluator.paper_row = None
