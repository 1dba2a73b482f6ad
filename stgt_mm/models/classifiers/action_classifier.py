"""The model that recognises actions."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from stgt_mm.models.answerers.modes import best_answers
from stgt_mm.models.started_encoder import StartedEncoder
from stgt_mm.registry import MODELS
from stgt_mm.structures import VideoTextSample


@MODELS.register_module()
class ActionClassifier(StartedEncoder):
    """Recognises actions: ``backbone -> neck -> vision_norm``, and a head on the mean of the video tokens.

    A linear probe has a frozen backbone and nothing in ``trainable``: the head alone trains.

    Args:
        backbone: Config; see :class:`VideoEncoder`. Whether it trains is its own ``frozen``.
        data_preprocessor: Config; without a tokenizer.
        action_head: Config.
        neck: Config; see :class:`VideoEncoder`.
        vision_norm: Arguments of the LayerNorm behind the neck; ``None`` for no norm.
        trainable: Which of neck and vision_norm train; the others are frozen, in eval mode.
        checkpoint: Weights to start from, of an aligner or an answerer: what they have of backbone, neck and
            vision_norm is taken, all else passed by. A frozen part that comes from here is named in
            checkpoints by this file and its hash, and not saved again.

    Raises:
        ValueError: If a part has an unknown name, or weights do not fit.
    """

    def __init__(
        self,
        backbone: dict[str, Any],
        data_preprocessor: dict[str, Any],
        action_head: dict[str, Any],
        neck: dict[str, Any] | None = None,
        vision_norm: dict[str, Any] | None = None,
        trainable: Sequence[str] = (),
        checkpoint: str | None = None,
    ) -> None:
        self.check_trainable(trainable)
        super().__init__(backbone, data_preprocessor, neck, vision_norm)
        self.action_head = MODELS.build(action_head)
        self.start(trainable, checkpoint)

    @property
    def protocol(self) -> dict[str, Any]:
        """What was trained, for results to name: the head alone is a linear probe."""
        parts = self.named_children()
        trained = [name for name, part in parts if any(p.requires_grad for p in part.parameters())]
        return {'task': 'action', 'trained': trained, 'actions': self.action_head.classifier.out_features}

    def loss(self, inputs: dict[str, Tensor], data_samples: list[VideoTextSample]) -> dict[str, Tensor]:
        """Computes ``loss_action`` of B samples with ``action``, and diagnostics."""
        logits = self.action_head(self.extract_tokens(inputs))
        return self.action_head.loss(logits, [sample.action for sample in data_samples]) | self.statistics()

    def predict(
        self, inputs: dict[str, Tensor], data_samples: list[VideoTextSample] | None
    ) -> list[VideoTextSample]:
        """Writes ``probabilities`` (A,), the likeliest action as ``prediction`` and its ``score``."""
        found = self.action_head(self.extract_tokens(inputs)).float().softmax(dim=1).cpu()
        samples = data_samples or [VideoTextSample() for _ in found]
        for sample, own, ((name, score),) in zip(
            samples, found, best_answers(found, self.action_head.names, 1)
        ):
            for key, value in (('probabilities', own), ('prediction', name), ('score', score)):
                sample.set_field(value, key, field_type='data')
        return samples

    @torch.no_grad()
    def recognise(self, inputs: dict[str, Tensor], k: int = 5) -> list[list[tuple[str, float]]]:
        """Gives the k likeliest actions of each of B videos with their probabilities, best first."""
        found = self.action_head(self.extract_tokens(inputs)).float().softmax(dim=1)
        return best_answers(found, self.action_head.names, k)
