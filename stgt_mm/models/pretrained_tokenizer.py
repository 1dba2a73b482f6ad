"""The tokenizer that comes with the weights of a dual encoder."""

from collections.abc import Sequence

import torch
from torch import Tensor

from stgt_mm.io.pretrained import (
    check_library,
    load_pretrained,
    open_clip_config,
    open_clip_name,
    open_clip_package,
)
from stgt_mm.registry import TOKENIZERS


@TOKENIZERS.register_module()
class PretrainedTokenizer:
    """Turns texts into token ids as the text side of published weights was trained to read them.

    SigLIP and the models of ``open_clip`` read texts padded to full length, padding included: there the mask
    is True everywhere. Texts are cut on the right.

    Args:
        pretrained: Folder or Hugging Face name, that of the model.
        max_length: Most tokens of a text; None for as many as the text side has positions. Where padding is
            read it must be that.
        library: ``'transformers'`` or ``'open_clip'``.

    Raises:
        ValueError: If the tokenizer cannot be had, or ``max_length`` does not fit.
    """

    def __init__(self, pretrained: str, max_length: int | None = None, library: str = 'transformers') -> None:
        self.library = library
        self.reads_padding = True
        if check_library(library) == 'open_clip':
            positions = open_clip_config(pretrained)['model_cfg']['text_cfg'].get('context_length', 77)
            self._model = load_pretrained(
                open_clip_package().get_tokenizer, open_clip_name(pretrained), 'the tokenizer'
            )
        else:
            from transformers import AutoConfig, AutoTokenizer

            text = load_pretrained(AutoConfig.from_pretrained, pretrained, 'config.json').text_config
            positions = text.max_position_embeddings
            self.reads_padding = text.model_type.startswith('siglip')
            self._model = load_pretrained(AutoTokenizer.from_pretrained, pretrained, 'the tokenizer')
        self.max_length = max_length or positions
        if self.max_length > positions or (self.reads_padding and self.max_length != positions):
            relation = 'exactly' if self.reads_padding else 'at most'
            raise ValueError(
                f"max_length={max_length}: the text side of pretrained='{pretrained}' reads {relation} "
                f'{positions} tokens.'
            )

    def __call__(self, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Encodes K texts as int64 ids (K, L) and the mask, False where padding is not read."""
        if isinstance(texts, str) or not len(texts):
            raise ValueError(f'texts must be a list with at least one caption, got {texts!r}.')
        if self.library == 'open_clip':
            ids = self._model(list(texts))
            return ids, torch.ones_like(ids, dtype=torch.bool)
        found = self._model(
            list(texts),
            padding='max_length' if self.reads_padding else 'longest',
            truncation=True,
            max_length=self.max_length,
            return_tensors='pt',
            return_attention_mask=True,
        )
        ids, mask = found['input_ids'], found['attention_mask'].bool()
        return ids, torch.ones_like(mask) if self.reads_padding else mask
