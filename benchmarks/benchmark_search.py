"""Measures the retriever's index against a plain scan of its vectors: building, memory, a query, recall.

Embeddings are made up, and vary as those of the quickstart's model: 95% in 16 dimensions, 28% within a video.

Example:
  python benchmarks/benchmark_search.py --videos 100000 --out 100k.json
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from benchmark_records import memory
from torch import Tensor
from torch.nn.functional import normalize

from stgt_mm.engine.cli import described_parser, run_tool
from stgt_mm.io.whole_file import whole_file
from stgt_mm.search import LanceIndex, Moment

LATENT = 16
WITHIN = 0.62  # of the embeddings of a video, where videos have 1
ROUGH = 0.05  # share of the variance outside of the latent dimensions
CHUNK = 2000


class MadeUp:
    """Embeddings of length 1 that vary as those of the quickstart's model on its test clips do."""

    def __init__(self, width: int, seed: int) -> None:
        self.noise = torch.Generator().manual_seed(seed)
        self.basis = torch.randn(LATENT, width, generator=torch.Generator().manual_seed(0)) / LATENT**0.5

    def videos(self, count: int, queries: int) -> Tensor:
        """Draws the query embeddings (count, queries, P) of videos."""
        centres = torch.randn(count, 1, LATENT, generator=self.noise)
        own = centres + WITHIN * torch.randn(count, queries, LATENT, generator=self.noise)
        own = (1 - ROUGH) ** 0.5 * own @ self.basis
        return normalize(own + ROUGH**0.5 * torch.randn(own.shape, generator=self.noise), dim=-1)


def milliseconds(texts: Tensor, *searches: Callable[[Tensor], Any]) -> np.ndarray:
    """Times searches (s, K) for texts (K, P), in turn: a busy machine is busy for all."""
    for search in searches:
        search(texts[0])
    spent = np.empty((len(searches), len(texts)))
    for column, text in enumerate(texts):
        for row, search in enumerate(searches):
            began = time.perf_counter()
            search(text)
            spent[row, column] = 1e3 * (time.perf_counter() - began)
    return spent


def measure(args: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Builds an index and returns the figures by name."""
    index = LanceIndex(folder, {'weights': 'made up'})
    vectors = torch.empty(args.videos, args.queries, args.width)
    figures: dict[str, Any] = {**vars(args), 'vectors MiB': vectors.nbytes / 2**20}
    written, made_up = 0.0, MadeUp(args.width, seed=0)
    for place in range(0, args.videos, CHUNK):
        own = made_up.videos(min(CHUNK, args.videos - place), args.queries)
        vectors[place : place + len(own)] = own
        moments = [Moment(f'/v/{place + n}.mp4', 0.0, 10.0, row, stamp='1') for n, row in enumerate(own)]
        began = time.perf_counter()
        index.write(moments)
        written += time.perf_counter() - began
    began = time.perf_counter()
    index.tidy()
    figures |= {'write s': written, 'tidy s': time.perf_counter() - began}
    figures['folder MiB'] = sum(path.stat().st_size for path in folder.rglob('*') if path.is_file()) / 2**20
    texts = MadeUp(args.width, seed=1).videos(args.texts, 1)[:, 0]
    flat = vectors.flatten(0, 1)

    def scan(text: Tensor) -> list[int]:
        return (flat @ text).view(vectors.shape[:2]).amax(dim=1).topk(args.k).indices.tolist()

    before = memory()
    began = time.perf_counter()
    index.nearest(texts[0], args.k)
    figures |= {'first exact search s': time.perf_counter() - began, 'exact MiB': memory() - before}
    exact, near = partial(index.nearest, k=args.k), partial(index.nearest, k=args.k, approximate=True)
    same = [scan(text) == [int(Path(hit.path).stem) for hit in exact(text)] for text in texts]
    spent = milliseconds(texts, scan, exact)
    figures |= {
        'scan ms': median(spent[0]),
        'exact ms': median(spent[1]),
        'exact agrees': float(np.mean(same)),
    }
    figures['exact / scan'] = median(spent[1] / spent[0])
    if args.lance:
        figures["Lance's own exact ms"] = median(milliseconds(texts[:5], partial(lance_exact, index, args.k)))
    began = time.perf_counter()
    measured = index.build_approximate(texts, args.k, args.recall)
    figures |= {'build approximate s': time.perf_counter() - began, 'recall found': measured.recall}
    spent = milliseconds(texts, scan, near)
    figures |= {'approximate ms': median(spent[1]), 'scan / approximate': median(spent[0] / spent[1])}
    figures['probes'] = int((folder / 'probes.json').read_text())
    return figures


def median(values: np.ndarray) -> float:
    """Returns the median."""
    return float(np.median(values))


def lance_exact(index: LanceIndex, k: int, text: Tensor) -> Any:
    """Searches as Lance does by itself, without its index."""
    search = index._table.search(text.numpy(), vector_column_name='queries').distance_type('cosine')
    return search.bypass_vector_index().limit(k).select(['path', '_distance']).to_arrow()


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Reads the options."""
    parser = described_parser(__doc__)
    parser.add_argument('--videos', type=int, default=100_000)
    parser.add_argument('--queries', type=int, default=32, help='query embeddings a video')
    parser.add_argument('--width', type=int, default=64, help='of an embedding')
    parser.add_argument('--texts', type=int, default=50)
    parser.add_argument('--k', type=int, default=10)
    parser.add_argument('--recall', type=float, default=0.99, help='wanted of approximate search')
    parser.add_argument('--lance', action='store_true', help="time Lance's own exact search too")
    parser.add_argument('--threads', type=int, help="torch's, default its own choice")
    parser.add_argument('--folder', help='where the index is made, default a temporary folder')
    parser.add_argument('--out', help='write the figures to this JSON file')
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Measures, prints and writes."""
    args = parse_args(argv)
    if args.threads:
        torch.set_num_threads(args.threads)
    with tempfile.TemporaryDirectory(prefix='stgt_mm_search_', dir=args.folder) as folder:
        figures = measure(args, Path(folder))
    for name, value in figures.items():
        print(f'{name:<24} {value:.4g}' if isinstance(value, float) else f'{name:<24} {value}')
    if args.out:
        with whole_file(args.out) as path:
            path.write_text(json.dumps(figures, indent=1))


if __name__ == '__main__':
    sys.exit(run_tool(main))
