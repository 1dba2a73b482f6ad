"""CLIP4Clip on MSR-VTT with OpenAI's CLIP ViT-B/16; zero-shot, and fine-tuned by VTC as the ViT-B/32.

hf download openai/clip-vit-base-patch16 --local-dir weights/clip-vit-base-patch16
bash tools/dist_test.sh configs/baselines/clip4clip_vitb16_msrvtt.py pretrained 4
bash tools/dist_train.sh configs/baselines/clip4clip_vitb16_msrvtt.py 4
"""

from mmengine.config import read_base

with read_base():
    from .clip4clip_vitb32_msrvtt import *

weights = 'weights/clip-vit-base-patch16'
model.backbone.update(pretrained=weights, config=dict(model_type='clip', vision_config=dict(patch_size=16)))
model.data_preprocessor.tokenizer.pretrained = weights
train_dataloader.dataset.pipeline[1].pretrained = weights
test_dataloader.dataset.pipeline[1].pretrained = weights
