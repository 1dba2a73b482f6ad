"""PE-Core L/14 at 336 px on MSR-VTT, zero-shot: 8 frames averaged; needs ``pip install open_clip_torch``.

hf download timm/PE-Core-L-14-336 --local-dir weights/PE-Core-L-14-336
bash tools/dist_test.sh configs/baselines/pe_core_l14_msrvtt.py pretrained 8
"""

from mmengine.config import read_base

with read_base():
    from .pe_core_b16_msrvtt import *

weights = 'weights/PE-Core-L-14-336'
model.backbone.update(pretrained=weights, model_name='PE-Core-L-14-336')
model.data_preprocessor.tokenizer.pretrained = weights
test_dataloader.dataset.pipeline[1].pretrained = weights
