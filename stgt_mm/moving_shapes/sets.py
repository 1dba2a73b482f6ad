"""Sets of the benchmark as plain lists: its clips and what is asked of them.

Everything here is a function of one seed and happens in one process; rendering a clip needs only its
:class:`Clip`, so it can happen anywhere.
"""

from dataclasses import dataclass, field

import numpy as np

from stgt_mm.moving_shapes.grammar import caption
from stgt_mm.moving_shapes.meaning import FAMILIES, Meaning, change_fact, kinds_of
from stgt_mm.moving_shapes.splits import SPLITS, draw_distinct, draw_group, draw_meaning

GROUP_SIZE = 4
TRAIN_CAPTIONS = 4
"""Captions of a training clip; a clip of MSR-VTT has 20."""
TRAIN_SHARES = {
    'move': 0.14, 'turn': 0.10, 'grow': 0.07, 'recolour': 0.05, 'order_one': 0.14,
    'order_two': 0.14, 'duo': 0.19, 'pass': 0.11, 'number': 0.06,
}  # fmt: skip
"""Share of the training groups by family; the first five show a single object."""
TEST_SHARES = {
    'move': 0.15, 'turn': 0.15, 'grow': 0.02, 'recolour': 0.08, 'order_one': 0.14,
    'order_two': 0.12, 'duo': 0.18, 'pass': 0.08, 'number': 0.08,
}  # fmt: skip
ONE_FACT_SHARES = {
    'direction': 0.14, 'turn': 0.12, 'grow': 0.10, 'recolour': 0.06, 'order_one': 0.10, 'order_two': 0.12,
    'which': 0.12, 'front': 0.05, 'stop': 0.04, 'number': 0.04, 'size': 0.03, 'colour': 0.04, 'shape': 0.04,
}  # fmt: skip


@dataclass(frozen=True)
class Clip:
    """A clip before it is drawn."""

    number: int
    split: str  # 'train', 'val', 'test' or 'extra' (rendered for ``one_fact`` only; of test meanings)
    group: int  # clips of one group share background, shades and wording
    meaning: Meaning
    style: int  # wording of the caption
    seed: int  # of all that the meaning leaves open

    @property
    def video_id(self) -> str:
        """The id in all annotation files."""
        return f'video{self.number}'

    @property
    def text(self) -> str:
        """The caption, the first of :meth:`texts`."""
        return caption(self.meaning, self.style)

    def texts(self) -> list[str]:
        """Returns the captions: one, or in training :data:`TRAIN_CAPTIONS` wordings of the same meaning."""
        count = TRAIN_CAPTIONS if self.split == 'train' else 1
        return [caption(self.meaning, (self.style + 7919 * k) % 2**31) for k in range(count)]


@dataclass(frozen=True)
class Benchmark:
    """All clips, in order of their number, and the two hard sets.

    ``backwards`` holds indices into ``clips`` of test clips to be shown in both directions; ``one_fact``
    triples (index into ``clips``, kind of fact, the meaning with that fact changed).
    """

    clips: list[Clip] = field(default_factory=list)
    backwards: list[int] = field(default_factory=list)
    one_fact: list[tuple[int, str, Meaning]] = field(default_factory=list)

    def of(self, split: str) -> list[Clip]:
        """Returns the clips of one split."""
        return [clip for clip in self.clips if clip.split == split]


def apportion(total: int, shares: dict[str, float]) -> dict[str, int]:
    """Returns whole counts that sum to ``total``, as near to the shares as can be (largest remainder)."""
    weight = sum(shares.values())
    exact = {name: total * share / weight for name, share in shares.items()}
    counts = {name: int(value) for name, value in exact.items()}
    by_remainder = sorted(shares, key=lambda name: counts[name] - exact[name])
    for name in by_remainder[: total - sum(counts.values())]:
        counts[name] += 1
    return counts


def make_benchmark(
    seed: int = 0, train: int = 8000, val: int = 240, test: int = 500, one_fact: int = 1000
) -> Benchmark:
    """Draws the benchmark, without rendering it; equal seeds give equal benchmarks, to the byte.

    In ``val`` and ``test`` all clips differ in meaning; ``one_fact`` counts triples of a clip, its caption
    and one with a fact changed. Raises ``ValueError`` for a number that is not positive, a ``train`` that is
    no multiple of 4 (groups of 4), or a split with too few meanings.
    """
    for name, count in (('train', train), ('val', val), ('test', test), ('one_fact', one_fact)):
        if count < 1:
            raise ValueError(f'{name}={count}: at least 1.')
    if train % GROUP_SIZE:
        raise ValueError(f'train={train} must be a multiple of {GROUP_SIZE}, the clips of a group.')
    rngs = [np.random.default_rng([seed, stream]) for stream in range(4)]
    benchmark = Benchmark()
    for family, groups in apportion(train // GROUP_SIZE, TRAIN_SHARES).items():
        for _ in range(groups):
            _append(benchmark, draw_group(rngs[0], family, 'train'), 'train', rngs[0])
    for split, count, rng in zip(SPLITS[1:], (val, test), rngs[1:3]):
        for meaning in draw_distinct(rng, apportion(count, TEST_SHARES), split):
            _append(benchmark, [meaning], split, rng)
    tests = [index for index, clip in enumerate(benchmark.clips) if clip.split == 'test']
    benchmark.backwards.extend(tests)  # each differs from its reverse
    _fill_one_fact(benchmark, tests, apportion(one_fact, ONE_FACT_SHARES), rngs[3])
    return benchmark


def _append(benchmark: Benchmark, meanings: list[Meaning], split: str, rng: np.random.Generator) -> None:
    group = benchmark.clips[-1].group + 1 if benchmark.clips else 0
    style = int(rng.integers(2**31))
    for meaning in meanings:
        number, seed = len(benchmark.clips), int(rng.integers(2**31))
        benchmark.clips.append(Clip(number, split, group, meaning, style, seed))


def _fill_one_fact(
    benchmark: Benchmark, tests: list[int], counts: dict[str, int], rng: np.random.Generator
) -> None:
    """Takes test clips that have the fact, at random, then draws further clips of test meanings."""
    for kind, count in counts.items():
        having = [index for index in tests if kind in kinds_of(benchmark.clips[index].meaning)]
        chosen = [having[i] for i in rng.permutation(len(having))[:count]]
        while len(chosen) < count:
            family = FAMILIES[int(rng.integers(len(FAMILIES)))]
            meaning = draw_meaning(rng, family, 'test')
            if kind in kinds_of(meaning):
                chosen.append(len(benchmark.clips))
                _append(benchmark, [meaning], 'extra', rng)
        for index in chosen:
            changed = change_fact(benchmark.clips[index].meaning, kind, rng)
            benchmark.one_fact.append((index, kind, changed))
