"""MSVD-QA with Vicuna-7B: the paper's row (69.7), 9 epochs at 3e-5. The Q-Former reads the question.

Starts from the aligner of WebVid-10M + VIDAL-7M. The language model is read from a folder:
``hf download lmsys/vicuna-7b-v1.3 --local-dir weights/vicuna-7b``.

    bash tools/dist_train.sh configs/video_qa/msvd_vicuna7b.py 8
    bash tools/dist_test.sh configs/video_qa/msvd_vicuna7b.py work_dirs/msvd_vicuna7b/epoch_9.pth 8
"""

from mmengine.config import read_base

with read_base():
    from .._base_.datasets.msvd_qa import *
    from .._base_.default_runtime import *
    from .._base_.models.answerer_vitg import *
    from .._base_.models.vicuna_7b import *
    from .._base_.schedules.finetune_qa import *

model.update(
    language_model=language_model,
    condition_on_question=True,
    prompt='Question: {question} Answer:',
)
default_hooks.checkpoint.save_best = 'qa/accuracy'
test_evaluator.paper_row = 'msvd_qa/stgt_vicuna_7b'
