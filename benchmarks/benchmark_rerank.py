"""Measures what re-ranking costs: keys and values of a video once, against once a candidate.

Both ways score the same candidates of one video with the same Q-Former and are checked to agree. The naive
way repeats the video tokens for each candidate and projects them again, with texts padded to the limit; ours
projects the video once and folds the queries of all candidates onto its keys. With captions, ours pads to the
longest. The two take turns, and CPU seconds stand beside wall seconds: other work on the machine then matters
less.

Example:
    python benchmarks/benchmark_rerank.py --captions MSRVTT_JSFUSION_test.csv --vocab vocab.txt
"""

import argparse
import csv
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from statistics import median

import torch
from timing import take_turns
from torch import Tensor
from torch.nn.functional import pad

from stgt_mm.engine.cli import described_parser, run_tool
from stgt_mm.models.qformer import QFormer
from stgt_mm.models.tokenizer import WordPieceTokenizer


def rerank_folded(qformer: QFormer, tokens: Tensor, ids: Tensor, mask: Tensor) -> Tensor:
    """Projects the video once: tokens (1, M, C), texts (k, L) and their mask give (k, Q, D)."""
    return qformer.fuse(qformer.project_video(tokens), ids[None], mask[None])[0]


def rerank_repeated(qformer: QFormer, tokens: Tensor, ids: Tensor, mask: Tensor) -> Tensor:
    """The fixed reference: repeats and projects the video for each candidate, computes every position."""
    video = iter(qformer.project_video(tokens.repeat(len(ids), 1, 1)))
    queries, text = qformer.embeddings.embed_queries(len(ids)), qformer.embeddings.embed_text(ids)
    readable = torch.cat([mask.new_ones(queries.shape[:2]), mask], dim=1)[:, None, None]
    for layer in qformer.layers:
        own = None if layer.cross_attention is None else next(video)
        queries, text = layer.forward_joint(queries, text, readable, own)
    return qformer.query_norm(queries)


def compare(
    qformer: QFormer, tokens: Tensor, texts: list[tuple[Tensor, Tensor]], limit: int, repeats: int
) -> None:
    """Times both ways on batches (ids, mask) of candidates; the naive one pads to ``limit``."""
    once: list[tuple[float, float]] = []
    repeated: list[tuple[float, float]] = []
    for ids, mask in texts:
        missing = limit - ids.shape[1]
        padded = pad(ids, (0, missing)), pad(mask, (0, missing))
        ours = partial(rerank_folded, qformer, tokens, ids, mask)
        naive = partial(rerank_repeated, qformer, tokens, *padded)
        difference = (ours() - naive()).abs().max().item()  # also warms both up
        if not difference < 1e-3:
            raise SystemExit(f'the two ways differ by {difference}: the figures would mean nothing')
        taken = take_turns({'ours': ours, 'naive': naive}, repeats)
        once += taken['ours']
        repeated += taken['naive']
    print(f'  ours padded to {sorted({ids.shape[1] for ids, _ in texts})}, naive to {limit}')
    for kind, ours_s, naive_s in zip(('wall', 'CPU'), zip(*once), zip(*repeated)):
        paired = median(a / b for a, b in zip(ours_s, naive_s))
        print(
            f'  {kind:4}: median {median(ours_s):.3f} s against {median(naive_s):.3f} s, '
            f'ratio {median(ours_s) / median(naive_s):.3f}, median ratio of neighbours {paired:.3f}',
            flush=True,
        )


def read_captions(
    path: Path, tokenizer: WordPieceTokenizer, candidates: int, batches: int
) -> list[tuple[Tensor, Tensor]]:
    """Reads the column ``sentence`` of an MSR-VTT test list and cuts it into batches of candidates."""
    with path.open(encoding='utf-8', newline='') as lines:
        sentences = [row['sentence'] for row in csv.DictReader(lines)]
    if len(sentences) < candidates:
        raise SystemExit(f'{path} has {len(sentences)} captions, {candidates} are needed')
    batches = min(batches, len(sentences) // candidates)
    step = len(sentences) // batches
    return [tokenizer(sentences[start * step : start * step + candidates]) for start in range(batches)]


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Reads the command line."""
    parser = described_parser(__doc__)
    parser.add_argument(
        '--captions', type=Path, help='CSV with a column `sentence`, as MSRVTT_JSFUSION_test.csv'
    )
    parser.add_argument('--vocab', default='bert-base-uncased', help='vocab.txt or Hugging Face name')
    parser.add_argument('--candidates', type=int, default=32)
    parser.add_argument('--max-length', type=int, default=32)
    parser.add_argument('--video-tokens', type=int, default=264)
    parser.add_argument('--vision-width', type=int, default=1408)
    parser.add_argument('--depth', type=int, default=12)
    parser.add_argument('--width', type=int, default=768)
    parser.add_argument('--num-heads', type=int, default=12)
    parser.add_argument('--batches', type=int, default=5, help='batches of real captions')
    parser.add_argument('--repeats', type=int, default=3)
    parser.add_argument('--threads', type=int, default=2)
    return parser.parse_args(argv)


@torch.inference_mode()
def main(argv: Sequence[str] | None = None) -> None:
    """Measures at equal padding and, with ``--captions``, on real texts."""
    args = parse_args(argv)
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    qformer = QFormer(
        width=args.width, depth=args.depth, num_heads=args.num_heads, vision_width=args.vision_width
    ).eval()
    tokens = torch.randn(1, args.video_tokens, args.vision_width)
    print(
        f'{args.depth} layers, width {args.width}, {args.video_tokens} video tokens of width '
        f'{args.vision_width}, {args.candidates} candidates, {args.threads} threads, '
        f'torch {torch.__version__}'
    )
    print(f'equal padding of {args.max_length}:')
    ids = torch.randint(1000, 20000, (args.candidates, args.max_length))
    compare(qformer, tokens, [(ids, torch.ones_like(ids, dtype=torch.bool))], args.max_length, args.repeats)
    if args.captions:
        tokenizer = WordPieceTokenizer(args.vocab, args.max_length)
        batches = read_captions(args.captions, tokenizer, args.candidates, args.batches)
        print(f'{len(batches)} batches of captions from {args.captions.name}:')
        compare(qformer, tokens, batches, args.max_length, args.repeats)


if __name__ == '__main__':
    sys.exit(run_tool(main))
