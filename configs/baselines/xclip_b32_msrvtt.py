"""X-CLIP on MSR-VTT: ViT-B/32 of 8 frames, trained on Kinetics-400; zero-shot, and fine-tuned by VTC.

The recipe is the published one as far as it needs no classes (mixup and cutmix do), on 8 GPUs: 30 epochs, 5
of them warm-up, batch 256, 8e-6, ten times that for what CLIP lacks, the text side frozen, smoothing 0.1.

    hf download microsoft/xclip-base-patch32 --local-dir weights/xclip-base-patch32
    bash tools/dist_test.sh configs/baselines/xclip_b32_msrvtt.py pretrained 8
    bash tools/dist_train.sh configs/baselines/xclip_b32_msrvtt.py 8
"""

from mmengine.config import read_base

with read_base():
    from .clip4clip_vitb32_msrvtt import *

weights = 'weights/xclip-base-patch32'
model.backbone.update(pretrained=weights, config=dict(model_type='xclip'), trainable=['video'])
model.data_preprocessor.tokenizer.pretrained = weights
model.contrastive_head.vtc.label_smoothing = 0.1
train_dataloader.dataset.pipeline[0].num_frames = test_dataloader.dataset.pipeline[0].num_frames = 8
train_dataloader.dataset.pipeline[1].pretrained = test_dataloader.dataset.pipeline[1].pretrained = weights
train_cfg.max_epochs = 30
optim_wrapper.optimizer.update(lr=8e-6, weight_decay=1e-3, eps=1e-8)
layers = [f'backbone.model.vision_model.encoder.layers.{n}.message' for n in range(12)]
fast = ['backbone.model.mit', *(f'{layer}_{part}' for layer in layers for part in ('fc', 'ln', 'attn'))]
optim_wrapper.paramwise_cfg.custom_keys = {name: dict(lr_mult=10.0) for name in fast}
param_scheduler.update(stages=[(30, 8e-6)], warmup_ratio=5 / 30, min_lr=8e-8)
