"""The tiny language model of qa_generate, trained alike: it says how likely each training answer is."""

from mmengine.config import read_base

with read_base():
    from .qa_generate import *

model.update(mode='rank', candidates=f'{data_root}/answers.txt')
val_evaluator.vocabulary = model.candidates
test_evaluator.vocabulary = model.candidates
