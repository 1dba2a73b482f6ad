"""Your own videos and questions on two CPU cores: the tiny STGT and a head over all answers, from nothing.

With the videos in ``data/custom/videos``, this makes what is read here (docs/question_answering.md)::

    python tools/dataset_converters/custom.py LIST data/custom/qa.jsonl --questions
    python tools/dataset_converters/build_vocab.py data/custom/qa.jsonl data/custom/words.txt --keys question
    python tools/dataset_converters/build_answers.py data/custom/qa.jsonl data/custom/answers.txt
"""

from mmengine.config import read_base

with read_base():
    from .._base_.datasets.custom_qa import *
    from .._base_.default_runtime import *
    from .._base_.models.answerer_tiny import *
    from .._base_.schedules.tiny import *

from stgt_mm.models import AnswerHead

vocabulary = f'{data_root}/answers.txt'
model.data_preprocessor.tokenizer.vocab = f'{data_root}/words.txt'
model.update(
    checkpoint=None,
    trainable=['neck', 'vision_norm', 'qformer'],
    mode='classify',
    condition_on_question=True,
    answer_head=dict(type=AnswerHead, width=96, vocabulary=vocabulary, pooling='attention'),
)
val_evaluator.vocabulary = vocabulary
test_evaluator.vocabulary = vocabulary
train_cfg.update(max_epochs=40, val_interval=20)
param_scheduler.stages = [(40, 6e-3)]
default_hooks.checkpoint.update(interval=20, save_best='qa/accuracy')
