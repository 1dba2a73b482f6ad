"""Captions of MSR-VTT (full split) by the Q-Former's own decoder, without a language model.

Fine-tunes the aligner of WebVid-10M + VIDAL-7M with its three objectives, of which VTG is the decoder's; a
tested checkpoint may be of any aligner of this size. The paper has no captioning: recipe and rates are ours.

    config=configs/captioning/msrvtt_captions_vtg.py
    bash tools/dist_train.sh $config 8
    bash tools/dist_test.sh $config work_dirs/msrvtt_captions_vtg/best_caption_CIDEr.pth 8
"""

from mmengine.config import read_base

with read_base():
    from .._base_.datasets.msrvtt_captions import *
    from .._base_.default_runtime import *
    from .._base_.models.stgt_vitg import *
    from .._base_.schedules.finetune_csal import *

model.data_preprocessor.tokenizer.max_length = 36
model.neck.similarity_threshold = 0.5
load_from = 'weights/stgt_w10m_v7m_256.safetensors'
default_hooks.checkpoint.save_best = 'caption/CIDEr'
