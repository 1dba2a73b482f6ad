"""The head that chooses an answer from a closed vocabulary."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stgt_mm.io.answer_list import read_answers
from stgt_mm.models.heads.vocabulary import VocabularyHead
from stgt_mm.registry import MODELS


@MODELS.register_module()
class AnswerHead(VocabularyHead):
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
        super().__init__(vocabulary, num_answers, read_answers)
        if pooling not in ('mean', 'attention'):
            raise ValueError(f"pooling is '{pooling}'; it must be 'mean' or 'attention'.")
        self.attention = nn.Linear(width, 1) if pooling == 'attention' else None
        self.build_classifier(width)

    @property
    def answers(self) -> list[str]:
        """The answers, in the order of the logits."""
        return self.names

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
        found = [self.index.get(answer.strip(), -1) for answer in answers]
        labels = torch.tensor(found, device=logits.device)
        known = labels >= 0
        count = known.sum().clamp(min=1)
        right = (logits.argmax(dim=1) == labels).sum() / count
        return {
            'loss_answer': F.cross_entropy(logits.float(), labels, ignore_index=-1, reduction='sum') / count,
            'answer_accuracy': right,
            'unknown_answers': 1 - known.float().mean(),
        }
