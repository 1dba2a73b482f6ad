"""The head that chooses an answer from a closed vocabulary."""

import hashlib
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stgt_mm.io.answer_list import read_answers
from stgt_mm.registry import MODELS


@MODELS.register_module()
class AnswerHead(nn.Module):
    """Scores the answers of a vocabulary by what the queries have read of video and question.

    A training answer that the vocabulary lacks has weight 0; the share of those is logged.

    Args:
        width: Width D of the Q-Former.
        vocabulary: Text file with an answer a line, the most frequent first.
        num_answers: A, of which only the first lines are taken; None takes all. With it the head can be built
            before the file is there.
        pooling: How the queries become one vector: 'mean', or 'attention' with a learnt weight for each.

    Raises:
        ValueError: If the vocabulary is missing, empty, too short, or has an answer twice.

    Source: closed-vocabulary question answering as in FrozenBiLM (arXiv 2206.08155), section 3.3.
    """

    def __init__(
        self, width: int, vocabulary: str, num_answers: int | None = None, pooling: str = 'mean'
    ) -> None:
        super().__init__()
        if pooling not in ('mean', 'attention'):
            raise ValueError(f"pooling is '{pooling}'; it must be 'mean' or 'attention'.")
        self._file = vocabulary
        self._count = num_answers
        self.attention = nn.Linear(width, 1) if pooling == 'attention' else None
        there = num_answers is None or Path(vocabulary).expanduser().is_file()
        size = len(self.answers) if there else num_answers
        self.classifier = nn.Linear(width, size)
        # in checkpoints, which are of use with the same answers in the same order only
        digest = hashlib.sha256('\n'.join(self.answers).encode()).digest() if there else bytes(32)
        self.register_buffer('vocabulary_sha256', torch.tensor(list(digest), dtype=torch.uint8))

    @cached_property
    def answers(self) -> list[str]:
        """The answers, in the order of the logits."""
        return read_answers(self._file, self._count)

    @cached_property
    def _index(self) -> dict[str, int]:
        return {answer: index for index, answer in enumerate(self.answers)}

    def forward(self, queries: Tensor) -> Tensor:
        """Maps queries (B, Q, D) that have read the question to logits (B, A)."""
        if self.attention is None:
            return self.classifier(queries.mean(dim=1))
        weights = self.attention(queries).softmax(dim=1)
        return self.classifier((weights * queries).sum(dim=1))

    def loss(self, logits: Tensor, answers: list[str]) -> dict[str, Tensor]:
        """Cross-entropy of the B true answers, averaged over those that the vocabulary has; 0 if it has none.

        With it are logged ``answer_accuracy`` of the same, and ``unknown_answers``, the share of the others.
        """
        found = [self._index.get(answer.strip(), -1) for answer in answers]
        labels = torch.tensor(found, device=logits.device)
        known = labels >= 0
        count = known.sum().clamp(min=1)
        right = (logits.argmax(dim=1) == labels).sum() / count
        return {
            'loss_answer': F.cross_entropy(logits.float(), labels, ignore_index=-1, reduction='sum') / count,
            'answer_accuracy': right,
            'unknown_answers': 1 - known.float().mean(),
        }

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        saved = state_dict.get(f'{prefix}vocabulary_sha256')
        own = self.vocabulary_sha256
        if saved is not None and saved.any() and own.any() and not torch.equal(saved.cpu(), own.cpu()):
            raise ValueError(
                f"the checkpoint was trained on another answer vocabulary than '{self._file}': give the one "
                'that it was trained on, the same answers in the same order.'
            )
        super()._load_from_state_dict(state_dict, prefix, *args)
