"""A text encoder of ``transformers``: BERT and its kind, from a folder or from random weights."""

from typing import Any

import torch
from torch import Tensor, nn

from stgt_mm.io.pretrained import load_pretrained
from stgt_mm.models.data_preprocessor import VideoTextDataPreprocessor
from stgt_mm.registry import MODELS


@MODELS.register_module()
class TextEncoder(nn.Module):
    """Any ``AutoModel`` of ``transformers`` that reads ids and a mask, without a pooler.

    Args:
        pretrained: Folder or Hugging Face name of the weights; None starts at random.
        config: Architecture for random weights, ``dict(model_type='bert', hidden_size=...)``; not read where
            ``pretrained`` is given.

    Attributes:
        width: Width D of its states.

    Raises:
        ValueError: If there are neither weights nor a config, or the weights cannot be had.
    """

    def __init__(self, pretrained: str | None = None, config: dict[str, Any] | None = None) -> None:
        super().__init__()
        from transformers import AutoConfig, AutoModel

        if pretrained:
            self.model = load_pretrained(
                AutoModel.from_pretrained, pretrained, 'the text encoder', dtype=torch.float32
            )
        elif config:
            self.model = AutoModel.from_config(AutoConfig.for_model(**config))
        else:
            raise ValueError('TextEncoder needs pretrained=FOLDER, or config=dict(model_type=...).')
        if getattr(self.model, 'pooler', None) is not None:
            self.model.pooler = None  # nothing reads it, and DDP would wait for its gradients
        self.width: int = self.model.config.hidden_size

    def init_weights(self) -> None:
        """Does nothing: mmengine calls this on every child, and that of ``transformers`` draws again."""

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Maps ids and mask (K, L), True at tokens, to states (K, L, D); the first is that of the text."""
        return self.model(input_ids=ids, attention_mask=mask.long()).last_hidden_state


def build_text_encoder(config: dict[str, Any], preprocessor: VideoTextDataPreprocessor) -> nn.Module:
    """Builds a text encoder; random weights get the tokenizer's ``vocab_size`` where theirs is left out."""
    own = config.get('config')
    if own and 'vocab_size' not in own and not config.get('pretrained'):
        tokenizer = preprocessor.tokenizer  # only here: a vocabulary that is not needed may be missing
        ids = {'vocab_size': tokenizer.vocab_size, 'pad_token_id': tokenizer.pad_id}
        config = {**config, 'config': {**own, **ids}}
    return MODELS.build(config)
