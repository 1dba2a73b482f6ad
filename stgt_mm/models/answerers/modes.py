"""The ways to answer: what each needs, and the best of scored answers."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor

MODES = ('generate', 'rank', 'classify')


def check_mode(mode: str, language_model: Any, answer_head: Any, reads: bool, candidates: str | None) -> None:
    """Raises a ValueError for options that do not go with the mode."""
    if mode == 'classify' and (answer_head is None or language_model is not None):
        raise ValueError("mode='classify' needs answer_head, and language_model=None.")
    if mode != 'classify' and (language_model is None or answer_head is not None):
        raise ValueError(f"mode='{mode}' needs language_model, and answer_head=None.")
    if mode == 'classify' and not reads:
        raise ValueError("mode='classify' needs condition_on_question=True: nothing else reads the question.")
    if mode == 'rank' and candidates is None:
        raise ValueError("mode='rank' needs candidates=FILE, a text file with an answer a line.")


def best_answers(scores: Tensor, answers: Sequence[str], k: int) -> list[list[tuple[str, float]]]:
    """Takes the k answers with the highest scores (B, N), best first."""
    values, indices = scores.topk(min(k, len(answers)), dim=1)
    return [
        [(answers[index], value) for index, value in zip(*row)]
        for row in zip(indices.tolist(), values.tolist())
    ]
