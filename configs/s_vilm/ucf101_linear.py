"""UCF101, split 1, by a linear probe of S-ViLM; the paper's 94.8 (second-hand) is a mean of three splits.

bash tools/dist_train.sh configs/s_vilm/ucf101_linear.py 8
bash tools/dist_test.sh configs/s_vilm/ucf101_linear.py work_dirs/ucf101_linear/epoch_30.pth 8
"""

from mmengine.config import read_base

with read_base():
    from .._base_.datasets.ucf101 import *
    from .._base_.default_runtime import *
    from .._base_.models.s_vilm_actions import *
    from .._base_.schedules.actions import *

model.backbone.frozen = True
model.action_head.update(actions=actions, num_actions=num_actions, norm='batch')
sync_bn = 'torch'
optim_wrapper.paramwise_cfg = None
optim_wrapper.optimizer.weight_decay = 0.0
default_hooks.checkpoint.save_best = None
test_evaluator.paper_row = 'ucf101/s_vilm_linear'
