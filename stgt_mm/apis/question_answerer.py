"""Questions about video files, answered by a trained model."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from torch import Tensor

from stgt_mm.apis.base import clip_pipeline, load_model, read_clip
from stgt_mm.datasets.collate import video_text_collate
from stgt_mm.engine.loops.retrieval_options import autocast_dtype
from stgt_mm.evaluation.encode import autocast

Names = str | os.PathLike | Sequence[str | os.PathLike]


class VideoQuestionAnswererInferencer:
    """Answers questions about video files as ``tools/test.py`` does, with further answers behind the first.

    Called as MMEngine's inferencers are, and none of them: ``BaseInferencer`` would load what fits of a
    checkpoint, by unpickling it, and drop the rest.

    Args:
        config: Config file of a ``VideoQuestionAnswerer``, or what ``load_config`` returns; clips are read by
            the pipeline of its test data set.
        checkpoint: Of a training of this config; None takes ``load_from`` of the config.
        device: By default a GPU if there is one.

    Attributes:
        mode: How answers are found: 'generate', 'rank' or 'classify'.

    Raises:
        ValueError: If the model answers no questions, or the checkpoint does not fit.

    Example:
        >>> ask = VideoQuestionAnswererInferencer('qa.py', 'epoch_9.pth')  # doctest: +SKIP
        >>> ask('clip.mp4', 'what is the man doing')['predictions'][0]['answers'][0]  # doctest: +SKIP
        {'answer': 'run', 'score': 0.82}
    """

    def __init__(
        self,
        config: str | Path | Config,
        checkpoint: str | Path | None = None,
        device: str | None = None,
    ) -> None:
        self.model, self.cfg = load_model(config, checkpoint, device)
        if not hasattr(self.model, 'answer'):
            raise ValueError(
                f'the config is of a {type(self.model).__name__}, which answers no questions: give that of a '
                'VideoQuestionAnswerer, configs/moving_shapes/qa_classify.py for example.'
            )
        self.mode: str = self.model.mode
        self.pipeline = clip_pipeline(self.cfg)
        self._amp = autocast_dtype((self.cfg.get('test_cfg') or {}).get('amp', False))

    @torch.no_grad()
    def __call__(
        self, videos: Names, questions: str | Sequence[str] = '', k: int = 5, batch_size: int = 8
    ) -> dict[str, Any]:
        """Answers each question about its video.

        Args:
            videos: One or several files. With one, all questions are about it.
            questions: One or several. One is asked about all videos. The empty one, where the model's prompt
                asks nothing, gives a caption.
            k: Answers of each question, as far as there are so many: no more than the vocabulary has, or the
                search has beams, for with more beams the first would be another.
            batch_size: Questions at once.

        Returns:
            ``mode``, and ``predictions``: for each question ``video``, ``question`` and ``answers``, best
            first, each with ``answer`` and ``score`` (docs/question_answering.md says of what).

        Raises:
            ValueError: If the numbers of videos and questions do not go together, ``k`` or ``batch_size`` is
                below 1, or a question is given to a model that reads none, or none to one that does.
            VideoReadError: If a file cannot be decoded.
        """
        if min(k, batch_size) < 1:
            raise ValueError(f'k={k}, batch_size={batch_size}: use at least 1.')
        pairs = pair_up(videos, questions)
        self._check_questions([question for _, question in pairs])
        if self.mode == 'generate':
            k = min(k, self.model.generation['num_beams'])
        predictions = []
        for start in range(0, len(pairs), batch_size):
            part = pairs[start : start + batch_size]
            with autocast(self.model, self._amp):
                tokens = self._tokens([video for video, _ in part])
                found = self.model.answer({'tokens': tokens}, [question for _, question in part], k)
            for (video, question), answers in zip(part, found):
                scored = [{'answer': text, 'score': score} for text, score in answers]
                predictions.append({'video': video, 'question': question, 'answers': scored})
        return {'mode': self.mode, 'predictions': predictions}

    def _tokens(self, videos: Sequence[str]) -> Tensor:
        """Backbone tokens of each video; one that is asked several times is read once."""
        distinct = list(dict.fromkeys(videos))
        batch = video_text_collate([read_clip(self.pipeline, video) for video in distinct])
        clips = self.model.data_preprocessor(batch)['inputs']['video']
        return self.model.backbone(clips)[[distinct.index(video) for video in videos]]

    def _check_questions(self, questions: Sequence[str]) -> None:
        reads = self.model.condition_on_question or '{question}' in self.model.prompt
        if not reads and any(question.strip() for question in questions):
            raise ValueError(
                f"this model reads no question, its prompt is '{self.model.prompt}': leave the question out, "
                'and the answer is a caption.'
            )
        if reads and not all(question.strip() for question in questions):
            raise ValueError(
                "this model answers questions: ask one. A caption comes from a model with prompt='' or "
                'another prompt without {question}, and condition_on_question=False.'
            )


def pair_up(videos: Names, questions: str | Sequence[str]) -> list[tuple[str, str]]:
    """Pairs videos with questions, as many of both or one of either; other numbers are a ValueError."""
    videos = [videos] if isinstance(videos, (str, os.PathLike)) else list(videos)
    questions = [questions] if isinstance(questions, str) else list(questions)
    count = max(len(videos), len(questions))
    if {len(videos), len(questions)} - {1, count} or not videos or not questions:
        raise ValueError(
            f'{len(videos)} videos and {len(questions)} questions: give as many questions as videos, or one '
            'of either.'
        )
    if len(videos) == 1:
        videos *= count
    if len(questions) == 1:
        questions *= count
    return [(os.fspath(video), question) for video, question in zip(videos, questions)]
