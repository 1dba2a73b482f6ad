"""The model that answers questions about a video, in one of three ways."""

from collections.abc import Container, Sequence
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from stgt_mm.io.answer_list import read_answers
from stgt_mm.models.answerers.base import Answerer, texts_of
from stgt_mm.models.answerers.modes import MODES, best_answers, check_mode
from stgt_mm.models.started_encoder import StartedEncoder
from stgt_mm.registry import MODELS
from stgt_mm.structures import VideoTextSample
from stgt_mm.utils import did_you_mean

TASKS: dict[str, dict[str, Any]] = {
    'answer': dict(prompt='Question: {question} Short answer:', max_new_tokens=10, length_penalty=-1.0),
    'caption': dict(prompt='a photo of', max_new_tokens=30, length_penalty=1.0),
}


@MODELS.register_module()
class VideoQuestionAnswerer(Answerer, StartedEncoder):
    """Answers questions: ``backbone -> neck -> vision_norm -> qformer``, then a language model or a head.

    ``generate`` and ``rank``: the queries, projected, are the prefix of a causal language model, which
    generates the answer or tells how likely each candidate is; both train alike. ``classify``: the queries,
    which have read the question, choose from a closed vocabulary.

    With ``task='caption'`` it is a captioner: 'generate' without a question. Samples to train on have a
    ``text``, as those of an aligner.

    Args:
        backbone: Config; see :class:`VideoEncoder`.
        data_preprocessor: Config; its tokenizer is that of the questions in the Q-Former.
        qformer: Config; ``vocab_size`` is the tokenizer's when left out.
        neck: Config; see :class:`VideoEncoder`.
        vision_norm: Arguments of the LayerNorm behind the neck; ``None`` for no norm.
        language_model: Config, for 'generate' and 'rank'.
        answer_head: Config, for 'classify'.
        mode: 'generate', 'rank' or 'classify'.
        condition_on_question: Whether the Q-Former reads the question; else its text side is not there.
        trainable: Which of neck, vision_norm, qformer and projection train; the others are frozen, in eval
            mode. Backbone and language model have keys of their own for it, an answer head always trains.
        checkpoint: Weights to start from, of an aligner, an answerer or the converters. What they have of
            these four parts, of the language model and of the backbone is taken, all else passed by. A frozen
            part that comes from here is named in checkpoints by this file and its hash, and not saved again.
        prompt: Text behind the prefix, in which ``{question}`` stands for the question; None is the task's.
        num_beams: Beams of 'generate'; 1 is greedy.
        max_new_tokens: Most tokens of an answer with its end, generated, trained on or a candidate; a caption
            to train on is cut. None is the task's.
        length_penalty: Power of the length that a beam's log-likelihood is divided by; None is the task's.
        candidates: Text file with an answer a line, for 'rank'.
        task: 'answer' or 'caption'; ``TASKS`` has its defaults.

    Raises:
        ValueError: If options do not go together, a part has an unknown name, or weights do not fit.

    Source: STGT Sec. 4.3; BLIP-2 (arXiv 2301.12597), section 3.2 and appendix; InstructBLIP (arXiv
        2305.06500), section 2.3, for a Q-Former that reads the question.
    """

    parts = ('neck', 'vision_norm', 'qformer', 'projection')
    also_taken = ('language_model', 'backbone')

    def __init__(
        self,
        backbone: dict[str, Any],
        data_preprocessor: dict[str, Any],
        qformer: dict[str, Any],
        neck: dict[str, Any] | None = None,
        vision_norm: dict[str, Any] | None = None,
        language_model: dict[str, Any] | None = None,
        answer_head: dict[str, Any] | None = None,
        mode: str = 'generate',
        condition_on_question: bool = False,
        trainable: Sequence[str] = ('qformer', 'projection'),
        checkpoint: str | None = None,
        prompt: str | None = None,
        num_beams: int = 5,
        max_new_tokens: int | None = None,
        length_penalty: float | None = None,
        candidates: str | None = None,
        task: str = 'answer',
    ) -> None:
        if task not in TASKS:
            raise ValueError(f"task='{task}'. {did_you_mean(task, TASKS)}")
        if mode not in MODES:
            raise ValueError(f"mode='{mode}'. {did_you_mean(mode, MODES)}")
        self.check_trainable(trainable)
        check_mode(mode, language_model, answer_head, condition_on_question, candidates)
        given = {'prompt': prompt, 'max_new_tokens': max_new_tokens, 'length_penalty': length_penalty}
        chosen = {**TASKS[task], **{name: value for name, value in given.items() if value is not None}}
        if task == 'caption' and (
            mode != 'generate' or condition_on_question or '{question}' in chosen['prompt']
        ):
            raise ValueError(
                "task='caption' has no question: it needs mode='generate', condition_on_question=False and a "
                "prompt without {question}, such as 'a photo of'."
            )
        super().__init__(backbone, data_preprocessor, neck, vision_norm)
        self.task = task
        self.mode = mode
        self.condition_on_question = condition_on_question
        self.prompt: str = chosen['prompt']
        self.max_new_tokens: int = chosen['max_new_tokens']
        self.generation = {'num_beams': num_beams, 'length_penalty': chosen['length_penalty']}
        self._candidates = candidates
        if not condition_on_question:
            qformer = {**qformer, 'vocab_size': 1}  # not there in the end
        elif qformer.get('vocab_size') is None:
            qformer = {**qformer, 'vocab_size': self.data_preprocessor.tokenizer.vocab_size}
        self.qformer = MODELS.build(qformer)
        self.qformer.keep_only(text=condition_on_question)
        self.answer_head = self.language_model = self.projection = None
        if mode == 'classify':
            self.answer_head = MODELS.build(answer_head)
        else:
            self.language_model = MODELS.build(language_model)
            self.projection = nn.Linear(self.qformer.width, self.language_model.width)
        self.start(trainable, checkpoint)

    def explain_misfit(self, names: Container[str]) -> list[str]:
        """Says what a checkpoint was made for, where weights of these names have another shape in it."""
        lines = []
        if 'answer_head.classifier.bias' in names:
            lines.append(
                f'The answer vocabulary, of {len(self.answer_head.answers)} answers here, is another: give '
                'that of the training as model.answer_head.vocabulary, with its num_answers.'
            )
        if 'projection.bias' in names:
            lines.append(
                f'The language model, of width {self.language_model.width} here, is another: name that of '
                'the training as model.language_model.pretrained (or .config).'
            )
        return lines

    @property
    def protocol(self) -> dict[str, Any]:
        """How answers are found, for results to name."""
        found: dict[str, Any] = {'task': self.task, 'mode': self.mode}
        found['condition_on_question'] = self.condition_on_question
        if self.mode == 'classify':
            return {**found, 'vocabulary_size': self.answer_head.classifier.out_features}
        found['prompt'] = self.prompt
        if self.mode == 'rank':
            return {**found, 'vocabulary_size': len(self.candidates)}
        return {**found, **self.generation, 'max_new_tokens': self.max_new_tokens}

    @cached_property
    def candidates(self) -> list[str]:
        """The answers that 'rank' compares."""
        return read_answers(self._candidates)

    @cached_property
    def _candidate_ids(self) -> list[list[int]]:
        return self._encode_answers(self.candidates)

    def _encode_answers(self, answers: Sequence[str]) -> list[list[int]]:
        # as they stand in a row, whose words a tokenizer may write with the space before them
        after = self.prompt.rpartition('{question}')[2].strip() or ('?' if self.prompt else '')
        cut = self.task == 'caption'
        return [self.language_model.encode_answer(text, after, self.max_new_tokens, cut) for text in answers]

    def _encode_prompts(self, questions: Sequence[str]) -> list[list[int]]:
        texts = [self.prompt.replace('{question}', question).strip() for question in questions]
        return [self.language_model.encode_prompt(text) for text in texts]

    def read(self, inputs: dict[str, Tensor], questions: Sequence[str]) -> Tensor:
        """Lets the queries read B videos, and with ``condition_on_question`` their questions: (B, Q, D)."""
        video = self.qformer.project_video(self.extract_tokens(inputs))
        if not self.condition_on_question:
            return self.qformer.encode_video(video)[0]
        ids, mask = self.data_preprocessor.tokenize(list(questions))
        return self.qformer.fuse(video, ids[:, None], mask[:, None])[:, 0]

    def loss(self, inputs: dict[str, Tensor], data_samples: list[VideoTextSample]) -> dict[str, Tensor]:
        """Computes ``loss_answer`` of B samples with ``question`` and ``answer``, and diagnostics.

        Of a language model it covers the tokens of the answers and their ends only. A sample without question
        or answer, or with an answer that is too long, is a ValueError. Of a captioner ``text``, cleaned like
        the captions of an aligner, is the answer.
        """
        questions = self.questions_of(data_samples)
        if self.task == 'caption':
            answers = [self.data_preprocessor.clean(text) for text in texts_of(data_samples, 'text')]
        else:
            answers = texts_of(data_samples, 'answer')
        queries = self.read(inputs, questions)
        if self.mode == 'classify':
            return self.answer_head.loss(self.answer_head(queries), answers) | self.statistics()
        loss = self.language_model.answer_loss(
            self.projection(queries), self._encode_prompts(questions), self._encode_answers(answers)
        )
        return {'loss_answer': loss} | self.statistics()

    def questions_of(self, samples: Sequence[VideoTextSample]) -> list[str]:
        """Takes the questions of samples, empty ones with ``task='caption'``."""
        return [''] * len(samples) if self.task == 'caption' else super().questions_of(samples)

    def caption(self, inputs: dict[str, Tensor]) -> list[tuple[str, float]]:
        """Gives caption and score of each of B videos; a ValueError unless the task is 'caption'."""
        if self.task != 'caption':
            raise ValueError(f"task='{self.task}': to caption, build the model with task='caption'.")
        return [best for (best,) in self.answer(inputs, [''] * len(next(iter(inputs.values()))), k=1)]

    @torch.no_grad()
    def answer(
        self, inputs: dict[str, Tensor], questions: Sequence[str], k: int = 5
    ) -> list[list[tuple[str, float]]]:
        """Answers a question on each of B videos.

        Args:
            inputs: ``video`` or ``tokens``, as the data preprocessor makes them.
            questions: B questions.
            k: Answers a question, fewer where the vocabulary has fewer.

        Returns:
            For each question the answers with their scores, best first: probabilities of 'classify',
            log-likelihoods of 'rank', for 'generate' see :meth:`CausalLanguageModel.generate`.
        """
        if self.task == 'caption' and any(questions):
            raise ValueError("task='caption' reads no question: build the model with task='answer' to ask.")
        queries = self.read(inputs, questions)
        if self.mode == 'classify':
            return best_answers(self.answer_head(queries).float().softmax(dim=1), self.answer_head.answers, k)
        prefix, prompts = self.projection(queries), self._encode_prompts(questions)
        if self.mode == 'rank':
            return best_answers(
                self.language_model.rank(prefix, prompts, self._candidate_ids), self.candidates, k
            )
        options = {**self.generation, 'max_new_tokens': self.max_new_tokens}
        options['num_beams'] = max(options['num_beams'], k)
        return self.language_model.generate(prefix, prompts, best=k, **options)
