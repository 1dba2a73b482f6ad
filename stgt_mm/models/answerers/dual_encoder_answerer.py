"""Question answering by classification for two encoders that never see each other's input."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from stgt_mm.models.aligners.dual_encoder import with_vocabulary
from stgt_mm.models.answerers.base import Answerer, texts_of
from stgt_mm.models.answerers.modes import best_answers
from stgt_mm.models.text_encoder import build_text_encoder
from stgt_mm.models.towers import Towers
from stgt_mm.registry import MODELS
from stgt_mm.structures import VideoTextSample


@MODELS.register_module()
class DualEncoderAnswerer(Answerer):
    """Answers from a closed vocabulary: the mean of the video tokens and the question, joined by an MLP.

    ``backbone -> neck -> vision_norm -> mean`` beside ``text_encoder``; both are brought to one width, and
    the MLP reads the two and their product. All of it trains but what is frozen by itself. The parts have the
    names that they have in ``SViLM`` or ``DualEncoder``: to start from one, set ``load_from`` and
    ``load_strict=False``.

    Args:
        backbone: Config; see :class:`VideoEncoder`.
        answer_head: Config; its ``width`` is that of the joint space.
        data_preprocessor: Config; its tokenizer is that of the questions.
        text_encoder: Config of ``TextEncoder``; None for a backbone with a text side.
        neck: Config; see :class:`VideoEncoder`.
        vision_norm: Arguments of the LayerNorm behind the neck; ``None`` for no norm.

    Raises:
        ValueError: If nothing reads the question, or two things do.

    Source: closed-vocabulary question answering of dual encoders in S-ViLM (arXiv 2303.16341), whose details
        were not to be had: how the two are joined is ours.
    """

    mode = 'classify'
    condition_on_question = True

    def __init__(
        self,
        backbone: dict[str, Any],
        answer_head: dict[str, Any],
        data_preprocessor: dict[str, Any],
        text_encoder: dict[str, Any] | None = None,
        neck: dict[str, Any] | None = None,
        vision_norm: dict[str, Any] | None = None,
    ) -> None:
        backbone = with_vocabulary(backbone, data_preprocessor['tokenizer'])
        super().__init__(backbone, data_preprocessor, neck, vision_norm)
        if (text_encoder is None) is not isinstance(self.backbone, Towers):
            raise ValueError(
                f'text_encoder={text_encoder} with a {type(self.backbone).__name__}: give one where the '
                'backbone has no text side, and None where it has.'
            )
        self.text_encoder = None
        if text_encoder is not None:
            self.text_encoder = build_text_encoder(text_encoder, self.data_preprocessor)
        self.answer_head = MODELS.build(answer_head)
        width = self.answer_head.classifier.in_features
        read = self.backbone.embed_dims if text_encoder is None else self.text_encoder.width
        self.video_proj, self.question_proj = (
            nn.Linear(self.backbone.embed_dims, width),
            nn.Linear(read, width),
        )
        self.fusion = nn.Sequential(
            nn.LayerNorm(3 * width), nn.Linear(3 * width, 2 * width), nn.GELU(), nn.Linear(2 * width, width)
        )

    @property
    def protocol(self) -> dict[str, Any]:
        """How answers are found, for results to name."""
        size = self.answer_head.classifier.out_features
        return {'task': 'answer', 'mode': self.mode, 'vocabulary_size': size}

    def read(self, inputs: dict[str, Tensor], questions: Sequence[str]) -> Tensor:
        """Joins B videos with their questions: (B, 1, width)."""
        video = self.video_proj(self.extract_tokens(inputs).mean(dim=1))
        ids, mask = self.data_preprocessor.tokenize(list(questions))
        if self.text_encoder is None:
            states = self.backbone.encode_text(ids, mask)
        else:
            states = self.text_encoder(ids, mask)[:, 0]
        question = self.question_proj(states)
        return self.fusion(torch.cat([video, question, video * question], dim=-1))[:, None]

    def loss(self, inputs: dict[str, Tensor], data_samples: list[VideoTextSample]) -> dict[str, Tensor]:
        """Computes ``loss_answer`` of B samples with ``question`` and ``answer``, and diagnostics.

        A sample without either is a ValueError.
        """
        answers = texts_of(data_samples, 'answer')
        logits = self.answer_head(self.read(inputs, self.questions_of(data_samples)))
        return self.answer_head.loss(logits, answers) | self.statistics()

    @torch.no_grad()
    def answer(
        self, inputs: dict[str, Tensor], questions: Sequence[str], k: int = 5
    ) -> list[list[tuple[str, float]]]:
        """Answers a question on each of B videos: the k likeliest answers with their probabilities."""
        scores = self.answer_head(self.read(inputs, questions)).float().softmax(dim=1)
        return best_answers(scores, self.answer_head.answers, k)
