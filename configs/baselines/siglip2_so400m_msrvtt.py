"""SigLIP 2 So400m/14 at 224 px on MSR-VTT, zero-shot: 12 frames averaged.

hf download google/siglip2-so400m-patch14-224 --local-dir weights/siglip2-so400m-patch14-224
bash tools/dist_test.sh configs/baselines/siglip2_so400m_msrvtt.py pretrained 8
"""

from mmengine.config import read_base

with read_base():
    from .._base_.datasets.msrvtt_encoders import *
    from .._base_.default_runtime import *
    from .._base_.models.dual_encoder import *
    from .._base_.schedules.test_only import *

weights = 'weights/siglip2-so400m-patch14-224'
side = dict(hidden_size=1152, intermediate_size=4304, num_hidden_layers=27, num_attention_heads=16)
model.backbone.update(
    pretrained=weights,
    config=dict(
        model_type='siglip',
        vision_config=dict(image_size=224, patch_size=14, **side),
        text_config=dict(vocab_size=256_000, max_position_embeddings=64, **side),
    ),
)
model.data_preprocessor.tokenizer.update(pretrained=weights, max_length=64)
test_dataloader.dataset.pipeline[1].pretrained = weights
