"""S-ViLM: pre-training on VideoCC-3M, the data of the paper's ablation; 32 frames, K = 2 phrases a caption.

    python tools/dataset_converters/custom.py videocc.csv data/videocc/captions.jsonl
    python tools/dataset_converters/noun_phrases.py data/videocc/captions.jsonl data/videocc/train.jsonl
    bash tools/dist_train.sh configs/s_vilm/pretrain_videocc.py 8

What of this is the paper's and what is ours: docs/s_vilm.md. Its row is of VideoCC and ActivityNet Captions.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.datasets.pretrain import *
    from .._base_.default_runtime import *
    from .._base_.models.s_vilm_vitb import *
    from .._base_.schedules.pretrain_s_vilm import *

folder = f'{data_root}/videocc'
videocc = dict(
    webvid2m,
    ann_file=f'{folder}/train.jsonl',
    video_root=f'{folder}/videos',
    made_by=f'{converters}/noun_phrases.py {folder}/captions.jsonl {folder}/train.jsonl',
)
train_dataloader.batch_size = 32
train_dataloader.dataset = videocc
for own in (train_dataloader, test_dataloader):
    own.dataset.pipeline[0].num_frames = 32
default_hooks.checkpoint.save_best = None
test_cfg = dict(type=RetrievalLoop, rerank_k=0)
test_evaluator.paper_row = 'msrvtt_zeroshot/s_vilm'
