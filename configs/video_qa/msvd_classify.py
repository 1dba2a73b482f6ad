"""MSVD-QA without a language model: a head over the 1,000 most frequent training answers, 9 epochs at 3e-5.

Starts from the aligner of WebVid-10M + VIDAL-7M. Test answers outside the vocabulary count as wrong.

    bash tools/dist_train.sh configs/video_qa/msvd_classify.py 8
    bash tools/dist_test.sh configs/video_qa/msvd_classify.py work_dirs/msvd_classify/epoch_9.pth 8
"""

from mmengine.config import read_base

with read_base():
    from .._base_.datasets.msvd_qa import *
    from .._base_.default_runtime import *
    from .._base_.models.answerer_vitg import *
    from .._base_.schedules.finetune_qa import *

from stgt_mm.models import AnswerHead

vocabulary = f'{data_root}/answers.txt'
model.update(
    mode='classify',
    condition_on_question=True,
    answer_head=dict(type=AnswerHead, width=768, vocabulary=vocabulary, num_answers=1000),
)
val_evaluator.vocabulary = vocabulary
test_evaluator.vocabulary = vocabulary
default_hooks.checkpoint.save_best = 'qa/accuracy'
