"""Action recognition with S-ViLM's video encoder at the paper's size, from a pre-trained S-ViLM.

The grouping block behind the last layer is left out: no video token depends on it.
"""

from stgt_mm.models import ActionClassifier, ActionHead, GroupedViT, VideoTextDataPreprocessor

model = dict(
    type=ActionClassifier,
    data_preprocessor=dict(type=VideoTextDataPreprocessor),
    backbone=dict(
        type=GroupedViT,
        model_name='vit_base_patch16_224',
        img_size=224,
        tubelet=2,
        num_frames=32,
        num_groups=32,
        group_after=(6, 9),
    ),
    action_head=dict(type=ActionHead, width=768),
    checkpoint='weights/s_vilm_videocc.pth',
)
