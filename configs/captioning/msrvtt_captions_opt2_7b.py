"""Captions of MSR-VTT (full split) by OPT-2.7B, frozen, behind a Q-Former that trains: 9 epochs at 3e-5.

Starts from the aligner of WebVid-10M + VIDAL-7M. The language model is read from a folder:
``hf download facebook/opt-2.7b --local-dir weights/opt-2.7b``. The paper has no captioning: schedule and
rates are those of its question answering.

    config=configs/captioning/msrvtt_captions_opt2_7b.py
    bash tools/dist_train.sh $config 8
    bash tools/dist_test.sh $config work_dirs/msrvtt_captions_opt2_7b/best_caption_CIDEr.pth 8
"""

from mmengine.config import read_base

with read_base():
    from .._base_.datasets.msrvtt_captions import *
    from .._base_.default_runtime import *
    from .._base_.models.answerer_vitg import *
    from .._base_.models.opt_2_7b import *
    from .._base_.schedules.finetune_qa import *

model.update(task='caption', language_model=language_model)
default_hooks.checkpoint.save_best = 'caption/CIDEr'
