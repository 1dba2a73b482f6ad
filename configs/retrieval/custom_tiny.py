"""Your own videos and captions on two CPU cores: the tiny STGT, VTC+VTM+VTG, trained and tested on one file.

With the videos in ``data/custom/videos``, this makes what is read here (docs/custom_videos.md)::

    python tools/dataset_converters/custom.py LIST data/custom/train.jsonl --video-root data/custom/videos
    python tools/dataset_converters/build_vocab.py data/custom/train.jsonl data/custom/vocab.txt
"""

from mmengine.config import read_base

with read_base():
    from .._base_.datasets.custom import *
    from .._base_.default_runtime import *
    from .._base_.models.stgt_tiny import *
    from .._base_.schedules.tiny import *

model.data_preprocessor.tokenizer.vocab = f'{data_root}/vocab.txt'
train_cfg.update(max_epochs=200, val_interval=50)
param_scheduler.stages = [(200, 6e-3)]
default_hooks.checkpoint.interval = 50
