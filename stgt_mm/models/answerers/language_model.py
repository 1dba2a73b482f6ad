"""A causal language model that continues a prefix of embeddings: loss, generation and ranking of answers."""

import inspect
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stgt_mm.models.answerers.text_tokenizer import load_tokenizer
from stgt_mm.registry import MODELS
from stgt_mm.utils import did_you_mean

_PRECISIONS = {'float32': torch.float32, 'float16': torch.float16, 'bfloat16': torch.bfloat16}
_IGNORED = -100


@MODELS.register_module()
class CausalLanguageModel(nn.Module):
    """Any ``AutoModelForCausalLM`` of ``transformers`` that takes ``inputs_embeds``: OPT, LLaMA and others.

    A row is ``[prefix, prompt, answer, end]``; the prefix are embeddings, the rest token ids. Attention is
    sdpa and positions are explicit, so that padding on either side changes nothing.

    Args:
        pretrained: Folder or Hugging Face name of the weights; None starts at random.
        config: Architecture for random weights, ``dict(model_type='opt', hidden_size=...)``; not read where
            ``pretrained`` is given. ``vocab_size`` and the ids of special tokens are the tokenizer's when
            ``vocab_size`` is left out.
        tokenizer: Folder, Hugging Face name or vocab.txt; by default that of ``pretrained``.
        precision: 'float32', 'float16' or 'bfloat16' for its weights.
        frozen: Whether its weights stay as they are, in eval mode; with ``lora`` the adapters train.
        lora: Arguments of ``peft.LoraConfig``, ``dict(r=16, target_modules=['q_proj', 'v_proj'])``.

    Attributes:
        width: Width E of its embeddings.

    Raises:
        ValueError: If there are neither weights nor a config, or no tokenizer that fits.

    Source: BLIP-2 (arXiv 2301.12597), section 3.2.
    """

    def __init__(
        self,
        pretrained: str | None = None,
        config: dict[str, Any] | None = None,
        tokenizer: str | None = None,
        precision: str = 'float32',
        frozen: bool = True,
        lora: dict[str, Any] | None = None,
    ) -> None:
        super().__init__()
        if precision not in _PRECISIONS:
            raise ValueError(f"precision='{precision}'. {did_you_mean(precision, _PRECISIONS)}")
        if lora and not frozen:
            raise ValueError('lora trains adapters on frozen weights: set frozen=True or lora=None.')
        self._tokenizer = tokenizer or pretrained or None
        self.model = self._build(pretrained, config, _PRECISIONS[precision])
        self.width: int = self.model.get_input_embeddings().embedding_dim
        self.requires_grad_(not frozen)
        self._stays_in_eval = frozen and not lora
        if lora:
            try:
                from peft import LoraConfig, inject_adapter_in_model
            except ImportError as error:
                raise ValueError('language_model.lora needs the package peft: pip install peft') from error
            inject_adapter_in_model(LoraConfig(task_type='CAUSAL_LM', **lora), self.model)
        for part in self.modules() if pretrained else ():
            # checkpoints name the folder of what does not train, and do not save it
            if not any(parameter.requires_grad for parameter in part.parameters()):
                part.frozen, part.checkpoint = True, pretrained
        self.train(self.training)

    def _build(self, pretrained: str | None, config: dict[str, Any] | None, dtype: torch.dtype) -> nn.Module:
        from transformers import AutoConfig, AutoModelForCausalLM

        options = {'attn_implementation': 'sdpa', 'dtype': dtype}
        if pretrained:
            tokens = len(self.tokenizer)  # first: it is small, and the weights are not
            try:
                model = AutoModelForCausalLM.from_pretrained(pretrained, **options)
            except OSError as error:
                raise ValueError(
                    f"language_model.pretrained='{pretrained}' cannot be loaded: "
                    f'{str(error).splitlines()[0]}. Without network, give a folder with its weights.'
                ) from error
        elif config:
            config = dict(config)
            if 'vocab_size' not in config:
                own = ('pad_token_id', 'bos_token_id', 'eos_token_id')
                config = {name: getattr(self.tokenizer, name) for name in own} | config
                config['vocab_size'] = len(self.tokenizer)
            tokens = config['vocab_size']
            model = AutoModelForCausalLM.from_config(AutoConfig.for_model(**config), **options)
        else:
            raise ValueError('language_model needs pretrained=FOLDER, or config=dict(model_type=...).')
        rows = model.get_input_embeddings().num_embeddings
        if tokens > rows:
            raise ValueError(
                f"the tokenizer '{self._tokenizer}' has {tokens} tokens, the language model {rows}: they are "
                'not of one model; name the right folder as language_model.tokenizer.'
            )
        return model

    @cached_property
    def tokenizer(self) -> Any:
        """The tokenizer, loaded on first use."""
        return load_tokenizer(self._tokenizer)

    def train(self, mode: bool = True) -> 'CausalLanguageModel':
        """Sets the training mode; a frozen language model stays in eval mode."""
        return super().train(mode and not self._stays_in_eval)

    def encode_prompt(self, text: str) -> list[int]:
        """Tokenises what stands behind the prefix, with the token that begins a text if there is one."""
        begin = self.tokenizer.bos_token_id
        ids = self.tokenizer.encode(text, add_special_tokens=False)
        return ids if begin is None else [begin, *ids]

    def encode_answer(self, answer: str, after: str, limit: int, cut: bool = False) -> list[int]:
        """Tokenises an answer as it continues the text ``after``, with the token that ends it.

        An empty answer is a ValueError. So is one of more than ``limit`` tokens, unless it may be ``cut``: it
        has no end then.
        """
        encode = self.tokenizer.encode
        before = encode(after, add_special_tokens=False)
        both = encode(f'{after} {answer.strip()}'.lstrip(), add_special_tokens=False)
        if both[: len(before)] != before or len(both) == len(before):
            raise ValueError(
                f"the answer '{answer}' has no tokens of its own behind '{after}': it is empty, or the "
                'prompt must end in a whole word or a colon.'
            )
        ids = [*both[len(before) :], self.tokenizer.eos_token_id]
        if len(ids) > limit and not cut:
            raise ValueError(
                f"the answer '{answer}' takes {len(ids)} tokens with its end, max_new_tokens is {limit}: "
                'raise it, or leave that answer out.'
            )
        return ids[:limit]

    def forward(self, embeds: Tensor, mask: Tensor, **memory: Any) -> Tensor:
        """Predicts each next token of embeddings (B, S, E): logits (B, S, vocab), of any value where padded.

        The mask (B, S) is False where padded: padding takes no position, wherever it stands.
        """
        positions = (mask.long().cumsum(dim=1) - 1).clamp(min=0)
        return self.model(
            inputs_embeds=embeds, attention_mask=mask.long(), position_ids=positions, **memory
        ).logits

    def join(
        self, prefix: Tensor, rows: Sequence[list[int]], side: str, ahead: int = 0
    ) -> tuple[Tensor, Tensor]:
        """Puts B lists of token ids, padded on ``side`` to L, behind a prefix (B, Q, E).

        Returned are embeddings (B, Q + L, E) and mask (B, Q + L), False where padded. More than the language
        model has positions for, with ``ahead`` tokens to come, is a ValueError.
        """
        ids = pad_rows(rows, _IGNORED, side).to(prefix.device)
        real = ids != _IGNORED
        words = self.model.get_input_embeddings()(ids.where(real, 0))
        mask = torch.cat([real.new_ones(prefix.shape[:2]), real], dim=1)
        needed = mask.shape[1] + ahead
        longest = getattr(self.model.config, 'max_position_embeddings', needed)
        if needed > longest:
            raise ValueError(
                f'prefix, prompt and answer take {needed} tokens, the language model has {longest} '
                'positions: shorten the prompt or the questions, or lower num_queries.'
            )
        return torch.cat([prefix.to(words.dtype), words], dim=1), mask

    def answer_loss(
        self, prefix: Tensor, prompts: Sequence[list[int]], answers: Sequence[list[int]], side: str = 'right'
    ) -> Tensor:
        """Cross-entropy of the tokens of B answers, their ends included, averaged over those of the batch.

        Prefix (B, Q, E) and prompts are read and not predicted.
        """
        rows = [prompt + answer for prompt, answer in zip(prompts, answers)]
        embeds, mask = self.join(prefix, rows, side)
        truths = [[_IGNORED] * len(prompt) + answer for prompt, answer in zip(prompts, answers)]
        labels = pad_rows(truths, _IGNORED, side).to(prefix.device)
        asked = labels != _IGNORED
        # the token before each, the last of the prefix for the first
        logits = self(embeds, mask)[:, prefix.shape[1] - 1 : -1][asked]
        return F.nll_loss(_log_softmax(logits), labels[asked])

    @torch.no_grad()
    def generate(
        self, prefix: Tensor, prompts: Sequence[list[int]], best: int = 1, **options: Any
    ) -> list[list[tuple[str, float]]]:
        """Generates answers by beam search, greedily with ``num_beams=1``.

        Args:
            prefix: Embeddings (B, Q, E).
            prompts: B lists of token ids.
            best: Answers of each row, at most ``num_beams``.
            **options: Those of ``transformers.GenerationConfig``, ``max_new_tokens`` among them.

        Returns:
            A list for each row: answers and their scores, best first. The score of a beam is its
            log-likelihood over ``length ** length_penalty``, of a greedy answer its log-likelihood.
        """
        from transformers import GenerationConfig

        embeds, mask = self.join(prefix, prompts, 'left', options['max_new_tokens'])
        if options.get('num_beams', 1) == 1:
            options.pop('length_penalty', None)  # of beams
        tokenizer = self.tokenizer
        end = tokenizer.eos_token_id
        config = GenerationConfig(
            do_sample=False,
            num_return_sequences=best,
            min_new_tokens=1,
            eos_token_id=end,
            pad_token_id=end if tokenizer.pad_token_id is None else tokenizer.pad_token_id,
            return_dict_in_generate=True,
            output_scores=True,
            **options,
        )
        found = self.model.generate(
            inputs_embeds=embeds, attention_mask=mask.long(), generation_config=config
        )
        if config.num_beams > 1:
            scores = found.sequences_scores
        else:
            steps = self.model.compute_transition_scores(found.sequences, found.scores, normalize_logits=True)
            ended = (found.sequences == end).cumsum(dim=1) - (found.sequences == end).long() > 0
            scores = steps.masked_fill(ended, 0).sum(dim=1)
        texts = [text.strip() for text in tokenizer.batch_decode(found.sequences, skip_special_tokens=True)]
        pairs = list(zip(texts, scores.tolist()))
        return [pairs[start : start + best] for start in range(0, len(pairs), best)]

    @torch.no_grad()
    def rank(
        self,
        prefix: Tensor,
        prompts: Sequence[list[int]],
        candidates: Sequence[list[int]],
        at_once: int = 128,
    ) -> Tensor:
        """Computes the log-likelihoods (B, K) of K candidates, given as token ids with their ends.

        Prefix and prompt run once. Of the candidates ``at_once`` stand in one row, each blind to the others
        and at the positions behind the prompt: all read one copy of its keys and values.
        """
        from transformers import DynamicCache

        # 'cache' from transformers 5.24 on
        accepts = inspect.signature(self.model.forward).parameters
        name = 'cache' if 'cache' in accepts else 'past_key_values'
        memory = {name: DynamicCache(config=self.model.config), 'use_cache': True}
        embeds, mask = self.join(prefix, prompts, 'left', max(map(len, candidates)))
        first = _log_softmax(self(embeds, mask, **memory)[:, -1])
        batch, scores = len(mask), []
        for start in range(0, len(candidates), at_once):
            group = candidates[start : start + at_once]
            steps = [(k, i, *ids[i : i + 2]) for k, ids in enumerate(group) for i in range(len(ids) - 1)]
            owner, place, given, wanted = torch.tensor(steps, device=prefix.device).T
            own = (owner[:, None] == owner) & (place[:, None] >= place)
            readable = torch.cat([mask[:, None].expand(-1, len(own), -1), own.expand(batch, -1, -1)], dim=2)
            words = self.model.get_input_embeddings()(given).expand(batch, -1, -1)
            positions = mask.sum(dim=1, keepdim=True) + place
            # transformers leaves a mask of four dimensions as it is
            inputs = {'inputs_embeds': words, 'attention_mask': readable[:, None], 'position_ids': positions}
            logits = self.model(**inputs, **memory).logits
            memory[name].crop(-len(own))  # a forward has added its keys and values
            values = _log_softmax(logits).gather(2, wanted.expand(batch, -1)[..., None])[..., 0]
            total = first[:, torch.tensor([ids[0] for ids in group], device=prefix.device)]
            scores.append(total.index_add(1, owner, values))
        return torch.cat(scores, dim=1)


def pad_rows(rows: Sequence[list[int]], value: int, side: str) -> Tensor:
    """Makes one tensor (B, L) of B lists of numbers, filled up with ``value`` on the 'left' or 'right'."""
    length = max(map(len, rows))
    fills = [[value] * (length - len(row)) for row in rows]
    joined = [[*fill, *row] if side == 'left' else [*row, *fill] for fill, row in zip(fills, rows)]
    return torch.tensor(joined, dtype=torch.long)


def _log_softmax(logits: Tensor) -> Tensor:
    return logits.log_softmax(dim=-1, dtype=torch.promote_types(logits.dtype, torch.float32))
