"""CLIP4Clip on MSR-VTT: OpenAI's CLIP ViT-B/32, 12 frames averaged (meanP); zero-shot, and fine-tuned by VTC.

The recipe is the published one, on 4 GPUs: 5 epochs, batch 128, 1e-7 for CLIP. With ``--cfg-options
model.temporal_layers=4`` it is seqTransf (no zero-shot), the row ``msrvtt_finetune/clip4clip`` of the paper.

    hf download openai/clip-vit-base-patch32 --local-dir weights/clip-vit-base-patch32
    bash tools/dist_test.sh configs/baselines/clip4clip_vitb32_msrvtt.py pretrained 4
    bash tools/dist_train.sh configs/baselines/clip4clip_vitb32_msrvtt.py 4
    bash tools/dist_test.sh configs/baselines/clip4clip_vitb32_msrvtt.py \
        work_dirs/clip4clip_vitb32_msrvtt/epoch_5.pth 4
"""

from mmengine.config import read_base

with read_base():
    from .._base_.datasets.msrvtt_encoders import *
    from .._base_.default_runtime import *
    from .._base_.models.dual_encoder import *
    from .._base_.schedules.finetune_clip4clip import *

model.backbone.update(config=dict(model_type='clip'), trainable=['video', 'text'])
default_hooks.checkpoint.save_best = None
