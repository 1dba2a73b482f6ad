"""``flex`` graph attention beside ``banded`` and ``dense``: whether ``'auto'`` should take it on a GPU."""

from collections.abc import Iterator
from contextlib import nullcontext

import torch

from gpu_proof.attention import HEADER, NOTE, measure_one
from gpu_proof.common import Setting, Table, run_part

BACKENDS = ('dense', 'banded', 'flex')
TOLERANCE = 1e-3


def measure(setting: Setting) -> Iterator[Table]:
    """Measures batches of 1 and 20, more frames, an image, a length between two tiles; fails if flex errs."""
    sizes = [(1, 8, 256), (20, 8, 256), (1, 32, 256), (4, 1, 256), (4, 8, 196)]
    width, heads = (32, 4) if setting.reduced else (1408, 16)
    wrong = []
    # a compiler takes minutes on a CPU
    with torch.compiler.set_stance('force_eager') if setting.reduced else nullcontext():
        for batch, frames, nodes in [(2, 3, 9)] if setting.reduced else sizes:
            rows = measure_one(setting, frames, nodes, width, heads, batch, BACKENDS)
            title = f'{batch} clips of {frames} frames, {nodes} tokens a frame, width {width}, {heads} heads'
            yield Table(title, HEADER, rows, NOTE)
            single = [row for row in rows if row[2:4] == ['flex', 'float32'] and row[6] is not None]
            wrong += [(title, *row) for row in single if not row[6] < TOLERANCE]
    if wrong:
        raise SystemExit(f'flex differs by more than {TOLERANCE}, or is NaN: {wrong}')


if __name__ == '__main__':
    run_part(measure)
