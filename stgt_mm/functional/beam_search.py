"""Beam search: likely sequences of tokens, found one token at a time."""

from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor

from stgt_mm.functional.similarity import full_precision

State = TypeVar('State')


def beam_search(
    step: Callable[[State, Tensor], tuple[Tensor, State]],
    select: Callable[[State, Tensor], State],
    state: State,
    first: Tensor,
    end: int,
    num_beams: int = 5,
    min_length: int = 1,
    max_length: int = 30,
    length_penalty: float = 1.0,
) -> tuple[Tensor, Tensor]:
    """Finds a sequence for each of B rows: a good one by beam search, the greedy one with one beam.

    A sequence has the score ``log-likelihood / length ** length_penalty``, its end counted in both. Of the
    continuations of a step the ``num_beams`` most likely may be an end; as many that are none go on. A row is
    done when no beam can become better than its best sequence, whatever follows.

    Source: ``transformers`` with ``early_stopping='never'``, whose best sequence this is.

    Args:
        step: Maps a state of R rows and their last tokens (R,) to logits (R, vocab) of the next tokens and
            the state that holds the last ones too.
        select: Maps a state and indices (R',) into its rows to the state of these rows.
        state: What the B rows start from.
        first: Token before each sequence, int64 (B,).
        end: Token that ends a sequence.
        num_beams: Beams a row.
        min_length: Tokens before an end, at least.
        max_length: Most tokens, the end counted; a sequence of so many may have none.
        length_penalty: Power of the length: above 0 longer ones gain, below 0 shorter ones.

    Returns:
        Tokens (B, max_length) behind the first, filled up with ``end``, and scores (B,).

    Raises:
        ValueError: If an option has an impossible value, or logits are NaN.

    Example:
        >>> import torch
        >>> from stgt_mm.functional.beam_search import beam_search
        >>> table = torch.tensor([[0.1, 0.5, 0.4], [0.1, 0.1, 0.8], [0.9, 0.05, 0.05]]).log()
        >>> walk = lambda state, last: (table[last], state)
        >>> first = torch.tensor([0])
        >>> beam_search(walk, lambda state, index: state, None, first, end=0, num_beams=1, max_length=4)[0]
        tensor([[1, 2, 0, 0]])
    """
    if num_beams < 1 or not 0 <= min_length < max_length:
        raise ValueError(
            f'num_beams={num_beams}, min_length={min_length}, max_length={max_length}: at least 1 beam, and '
            '0 <= min_length < max_length.'
        )
    rows = torch.arange(len(first), device=first.device)
    state = select(state, rows.repeat_interleave(num_beams))
    ids, last = first.new_empty(len(first), num_beams, 0), first.repeat_interleave(num_beams)
    found = first.new_full((len(first), max_length), end)
    best = torch.full((len(first),), -torch.inf, device=first.device)
    total = best[:, None].repeat(1, num_beams)
    total[:, 0] = 0  # all beams of a row are the same at first
    for length in range(1, max_length + 1):
        logits, state = step(state, last)
        likely = full_precision(logits).log_softmax(dim=-1)
        if length <= min_length:
            likely[:, end] = -torch.inf
        total, beam, ids = _continuations(total, likely, ids)
        ends = (ids[..., -1] == end) | (length == max_length)
        score = (total / length**length_penalty).masked_fill(~ends, -torch.inf)[:, :num_beams]
        value, place = score.max(dim=1)
        better = value > best
        best = torch.where(better, value, best)
        found[:, :length] = torch.where(better[:, None], ids[rows, place], found[:, :length])
        found[:, length:][better] = end
        stops = ends | best.isfinite()[:, None] if num_beams == 1 else ends
        total, kept = total.masked_fill(stops, -torch.inf).topk(num_beams, dim=1)
        furthest = max_length if length_penalty > 0 else length + 1
        if not (total[:, 0] / furthest**length_penalty > best).any():
            break
        state = select(state, (rows[:, None] * num_beams + beam.gather(1, kept)).flatten())
        ids = ids[rows[:, None], kept]
        last = ids[..., -1].flatten()
    if not best.isfinite().all():
        raise ValueError('no sequence has a likelihood: the model gave NaN as logits.')
    return found, best


def _continuations(total: Tensor, likely: Tensor, ids: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Finds the 2K most likely continuations of K beams in each of B rows, the best first.

    Given are log-likelihoods (B, K), those of the next token (B * K, vocab) and tokens (B, K, L); returned
    are the sums (B, 2K), the beams that they continue and the tokens (B, 2K, L + 1).
    """
    batch, beams = total.shape
    vocab = likely.shape[-1]
    sums = (total[..., None] + likely.view(batch, beams, vocab)).flatten(1)
    sums, place = sums.topk(min(2 * beams, beams * vocab), dim=1)
    beam, token = place // vocab, place % vocab
    rows = torch.arange(batch, device=ids.device)[:, None]
    return sums, beam, torch.cat([ids[rows, beam], token[..., None]], dim=-1)
