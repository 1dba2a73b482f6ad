"""PE-Core B/16 at 224 px on MSR-VTT, zero-shot: 8 frames averaged; needs ``pip install open_clip_torch``.

hf download timm/PE-Core-B-16 --local-dir weights/PE-Core-B-16
bash tools/dist_test.sh configs/baselines/pe_core_b16_msrvtt.py pretrained 8
"""

from mmengine.config import read_base

with read_base():
    from .._base_.datasets.msrvtt_encoders import *
    from .._base_.default_runtime import *
    from .._base_.models.dual_encoder import *
    from .._base_.schedules.test_only import *

from stgt_mm.models import OpenCLIPTowers

weights = dict(pretrained='weights/PE-Core-B-16', library='open_clip')
model.backbone = dict(type=OpenCLIPTowers, pretrained='weights/PE-Core-B-16', model_name='PE-Core-B-16')
model.data_preprocessor.tokenizer.update(max_length=32, **weights)
test_dataloader.dataset.pipeline[0].num_frames = 8
test_dataloader.dataset.pipeline[1].update(**weights)
