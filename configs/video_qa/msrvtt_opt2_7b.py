"""MSRVTT-QA with OPT-2.7B: the paper's row (51.2), 9 epochs at 3e-5. The Q-Former does not read the question.

Starts from the aligner of WebVid-10M + VIDAL-7M. The language model is read from a folder:
``hf download facebook/opt-2.7b --local-dir weights/opt-2.7b``.

    bash tools/dist_train.sh configs/video_qa/msrvtt_opt2_7b.py 8
    bash tools/dist_test.sh configs/video_qa/msrvtt_opt2_7b.py work_dirs/msrvtt_opt2_7b/epoch_9.pth 8
"""

from mmengine.config import read_base

with read_base():
    from .._base_.datasets.msrvtt_qa import *
    from .._base_.default_runtime import *
    from .._base_.models.answerer_vitg import *
    from .._base_.models.opt_2_7b import *
    from .._base_.schedules.finetune_qa import *

model.update(
    language_model=language_model,
    condition_on_question=False,
    prompt='Question: {question} Short answer:',
)
default_hooks.checkpoint.save_best = 'qa/accuracy'
test_evaluator.paper_row = 'msrvtt_qa/stgt_opt_2.7b'
