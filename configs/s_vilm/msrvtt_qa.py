"""S-ViLM: MSRVTT-QA over the 1,500 most frequent training answers, from a pre-training in configs/s_vilm.

    bash tools/dist_train.sh configs/s_vilm/msrvtt_qa.py 8
    bash tools/dist_test.sh configs/s_vilm/msrvtt_qa.py work_dirs/msrvtt_qa/best_qa_accuracy.pth 8

How the two encoders are joined and the schedule, STGT's, are ours. Test answers outside the vocabulary count
as wrong. The row beside the result, 43.5, is read second-hand: docs/s_vilm.md.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.datasets.msrvtt_qa import *
    from .._base_.default_runtime import *
    from .._base_.models.s_vilm_answerer import *
    from .._base_.schedules.finetune_qa import *

vocabulary = f'{data_root}/answers.txt'
model.answer_head.update(vocabulary=vocabulary, num_answers=1500)
for own in (train_dataloader, val_dataloader, test_dataloader):
    own.dataset.pipeline[0].num_frames = 32
load_from = 'work_dirs/pretrain_videocc/epoch_10.pth'
load_strict = False
val_evaluator.vocabulary = vocabulary
test_evaluator.update(vocabulary=vocabulary, paper_row='msrvtt_qa/s_vilm')
default_hooks.checkpoint.save_best = 'qa/accuracy'
