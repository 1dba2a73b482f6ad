"""STGT on SigLIP 2's So400m/14 at 224 px: pre-training on WebVid-10M, both stages in one run, P = 256.

    bash tools/dist_train.sh configs/stgt/pretrain_siglip2_so400m.py 8

The ViT has no CLS token: the mean of its patches stands there. The start is that of pretrain_pe_core_l14.py.
"""

from mmengine.config import read_base

with read_base():
    from .pretrain_pe_core_l14 import *

name = 'vit_so400m_patch14_siglip_224.v2_webli'
model.backbone.update(model_name=name, checkpoint=f'weights/{name}/model.safetensors', cls='mean')
model.neck.update(embed_dims=1152, grid_size=16)
model.qformer.vision_width = 1152
train_dataloader.dataset.pipeline[1].size = test_dataloader.dataset.pipeline[1].size = 224
