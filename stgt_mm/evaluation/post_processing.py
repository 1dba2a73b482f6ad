"""Post-processors of similarities: their numbers stand beside the raw ones and never replace them.

They act on the similarities of the first stage, because these exist for every pair. Scores of the matching
head exist for candidates only: a softmax over all queries of them would need made-up numbers for the rest.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor, nn

from stgt_mm.datasets.records import read_records
from stgt_mm.evaluation.encode import encode_texts
from stgt_mm.evaluation.rank import Ranking
from stgt_mm.evaluation.shares import merge_disjoint, refuse_nan
from stgt_mm.evaluation.similarity import similarity_blocks
from stgt_mm.functional.post_processing import dual_softmax, hubs, inverted_softmax, log_mass, total_log_mass
from stgt_mm.registry import POST_PROCESSORS

TEXT_BLOCK = 256

Bank = tuple[Tensor, Tensor]
BankScorer = Callable[[list[str], float, int], Bank]


class PostProcessor(Protocol):
    """The interface of a post-processor, registered in ``POST_PROCESSORS``."""

    name: str  # suffix of the names of its metrics: 'dsl' for t2v_dsl/R1
    note: str  # what a reader of its numbers has to know, in one line

    def apply(self, ranking: Ranking, score_bank: BankScorer) -> Ranking | None:
        """Processes similarities under the name ``<ranking>_<suffix>``; None where that has no meaning.

        ``score_bank`` is :func:`bank_statistics` for the videos of the split: takes texts, scale and top_k.
        """


@POST_PROCESSORS.register_module()
class DSL:
    """Dual softmax: S * softmax(temperature * S over all queries of the test set), in both directions.

    It sees all test queries at once and rewards one-to-one assignment, so its numbers do not compare with
    those of a system that answers one query at a time.

    Source: CAMoE (arXiv 2109.04290), section 3.3; temperature of CLIP-ViP (arXiv 2209.06430).

    Args:
        temperature: Factor on the cosine in the softmax, > 0.

    Raises:
        ValueError: If the temperature is not positive.
    """

    name = 'dsl'

    def __init__(self, temperature: float = 100.0) -> None:
        _check_positive('DSL', temperature=temperature)
        self.temperature = temperature
        self.note = (
            f'dual softmax x {temperature:g} on similarities; uses the whole test set of queries at once'
        )

    def apply(self, ranking: Ranking, score_bank: BankScorer) -> Ranking:
        """Processes a ranking of either direction; needs no bank."""
        mass = log_mass(ranking.similarity, self.temperature)
        process = partial(dual_softmax, mass=mass, temperature=self.temperature)
        return replace(ranking, name=f'{ranking.name}_{self.name}', process=process)


@POST_PROCESSORS.register_module()
class QBNorm:
    """Query-bank normalisation with the dynamic inverted softmax, text to video.

    The bank is made of training texts; no test query is used to answer another. Video to text would need a
    bank of training videos and is left out.

    Source: QB-Norm (arXiv 2112.12777), section 3.

    Args:
        bank: JSON-lines file of training texts.
        beta: Inverse temperature on the cosine, > 0.
        top_k: A video is a hub when it is among the ``top_k`` best of a text of the bank.
        max_texts: Texts of the bank, taken at equal distances from the different ones of the file; None: all.

    Raises:
        ValueError: If a number is not positive.
        FileNotFoundError: If there is no such file.
    """

    name = 'qbnorm'

    def __init__(self, bank: str, beta: float = 20.0, top_k: int = 1, max_texts: int | None = None) -> None:
        _check_positive('QBNorm', beta=beta, top_k=top_k, max_texts=1 if max_texts is None else max_texts)
        self.beta = beta
        self.top_k = top_k
        if not Path(bank).is_file():
            raise FileNotFoundError(
                f"QBNorm: no file '{bank}'. The bank is an annotation file of training texts, for example "
                'data/msrvtt/train_9k.jsonl, and is made by the converters in tools/dataset_converters.'
            )
        texts = list(dict.fromkeys(record['text'] for record in read_records(Path(bank))))
        count = min(len(texts), max_texts or len(texts))
        self.texts = [texts[index * len(texts) // count] for index in range(count)]
        self.note = (
            f'dynamic inverted softmax x {beta:g} on similarities, text to video only; bank of '
            f'{len(self.texts)} texts of {bank}'
        )

    def apply(self, ranking: Ranking, score_bank: BankScorer) -> Ranking | None:
        """Processes a ranking of text to video; gives None for the other direction."""
        if ranking.direction != 't2v':
            return None
        mass, activated = score_bank(self.texts, self.beta, self.top_k)
        process = partial(inverted_softmax, mass=mass, activated=activated, beta=self.beta)
        return replace(ranking, name=f'{ranking.name}_{self.name}', process=process)


def bank_statistics(
    model: nn.Module,
    queries: Tensor,
    texts: list[str],
    scale: float,
    top_k: int = 1,
    amp: torch.dtype | None = None,
) -> Bank:
    """Scores a bank of texts against the videos (V, Q, P), in fixed blocks dealt out to the processes.

    Returns the log mass of each video, float64, and whether it is a hub, bool, both (V,), on every process.
    The similarities of the bank are never held at once.
    """
    embeddings = encode_texts(model, texts, amp).embeddings
    mass = torch.zeros(-(-len(texts) // TEXT_BLOCK), len(queries), dtype=torch.float64)
    found = torch.zeros_like(mass)
    for start, block in similarity_blocks(model, queries, embeddings, TEXT_BLOCK):
        mass[start // TEXT_BLOCK] = log_mass(block.T, scale)
        found[start // TEXT_BLOCK] = hubs(block.T, top_k).double()
    mass = refuse_nan(merge_disjoint(mass), 'sums over the query bank')
    return total_log_mass(mass), merge_disjoint(found).any(0)


def _check_positive(owner: str, **values: float) -> None:
    for name, value in values.items():
        if value <= 0:
            raise ValueError(f'{owner}: {name}={value} must be positive.')
