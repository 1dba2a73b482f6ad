"""UCF101, split 1, by S-ViLM fine-tuned; the paper's 96.5 (second-hand) is a mean of three splits.

bash tools/dist_train.sh configs/s_vilm/ucf101_finetune.py 8
bash tools/dist_test.sh configs/s_vilm/ucf101_finetune.py work_dirs/ucf101_finetune/epoch_30.pth 8
"""

from mmengine.config import read_base

with read_base():
    from .._base_.datasets.ucf101 import *
    from .._base_.default_runtime import *
    from .._base_.models.s_vilm_actions import *
    from .._base_.schedules.actions import *

model.action_head.update(actions=actions, num_actions=num_actions, dropout=0.5, label_smoothing=0.1)
default_hooks.checkpoint.save_best = None
test_evaluator.paper_row = 'ucf101/s_vilm_finetune'
