"""The head that tells which action a video shows."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stgt_mm.io.answer_list import read_actions
from stgt_mm.models.heads.vocabulary import VocabularyHead
from stgt_mm.registry import MODELS


@MODELS.register_module()
class ActionHead(VocabularyHead):
    """Scores actions by the mean of the video tokens: a norm, dropout, one linear layer.

    Args:
        width: Width C of the video tokens.
        actions: Text file with the name of an action a line.
        num_actions: A, the lines of that file. With it the head can be built before the file is there.
        norm: 'batch' without weights of its own, whose statistics need ``sync_bn='torch'`` of the config in
            several processes; 'layer'; or None.
        dropout: Share of the features that training sets to zero.
        label_smoothing: Of the cross-entropy.

    Raises:
        ValueError: If the norm is unknown, or the file is missing, of another length, or names one twice.

    Source: batch norm without weights ahead of a linear probe as in MAE (arXiv 2111.06377), appendix A.
    """

    def __init__(
        self,
        width: int,
        actions: str,
        num_actions: int | None = None,
        norm: str | None = 'layer',
        dropout: float = 0.0,
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__(actions, num_actions, read_actions)
        if norm not in ('batch', 'layer', None):
            raise ValueError(f"norm is {norm!r}; it must be 'batch', 'layer' or None.")
        norms = {'batch': nn.BatchNorm1d(width, eps=1e-6, affine=False), 'layer': nn.LayerNorm(width)}
        self.norm = norms.get(norm, nn.Identity())
        self.dropout = nn.Dropout(dropout)
        self.label_smoothing = label_smoothing
        self.build_classifier(width)

    def forward(self, tokens: Tensor) -> Tensor:
        """Maps video tokens (B, M, C) to logits (B, A)."""
        return self.classifier(self.dropout(self.norm(tokens.mean(dim=1))))

    def loss(self, logits: Tensor, actions: list[str]) -> dict[str, Tensor]:
        """Cross-entropy of the B true actions, and as ``action_accuracy`` the share that is recognised."""
        unknown = sorted({action for action in actions if action not in self.index})
        if unknown:
            raise ValueError(
                f"'{self._file}' lacks the action '{unknown[0]}' of a sample: give the file of its data set."
            )
        labels = torch.tensor([self.index[action] for action in actions], device=logits.device)
        return {
            'loss_action': F.cross_entropy(logits.float(), labels, label_smoothing=self.label_smoothing),
            'action_accuracy': (logits.argmax(dim=1) == labels).float().mean(),
        }
