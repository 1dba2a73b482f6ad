"""Measures videos a second from decode to scores, split by part, and the most memory in use.

Each clip is read, encoded, compared with all captions, and matched with the best k of them. The parts run one
after another and their times are medians over batches, so that nothing overlaps: in a test, worker processes
decode meanwhile. On a GPU the model runs in bfloat16. Without --ann-file the clips are generated.

Example:
    python benchmarks/benchmark_throughput.py configs/retrieval/msrvtt_zeroshot.py --random-weights
"""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, NamedTuple

import torch
from full_size_check import generate_clips, point_at, use_random_weights
from timing import Stopwatch, peak_memory_gib
from torch import Tensor, nn
from torch.utils.data import Subset

from stgt_mm.config import load_config, parse_overrides
from stgt_mm.datasets import video_text_collate
from stgt_mm.engine.cli import add_config_options, described_parser, run_tool
from stgt_mm.registry import DATASETS, MODELS

# STGT, Table 6: videos a second on 8 A100
PAPER = 'STGT 3.97, ALPRO 2.12 videos/s on 8 A100'


class Throughput(NamedTuple):
    """Median seconds a video by part, of the wall clock and of the CPU; what all captions took once.

    ``candidates`` captions were matched with each video; ``logits`` of the last batch have shape (B, k, 2).
    Of a model that does not re-rank they are cosines with all K captions, (B, K), and ``candidates`` is 0.
    """

    wall: dict[str, float]
    cpu: dict[str, float]
    captions: float
    candidates: int
    logits: Tensor


@torch.inference_mode()
def measure_throughput(
    model: nn.Module,
    dataset: Any,
    texts: Sequence[str],
    candidates: int,
    batch_size: int = 1,
    warm_up: int = 1,
    dtype: torch.dtype | None = None,
) -> Throughput:
    """Scores every clip of a data set against its best captions.

    Args:
        model: An aligner in eval mode.
        dataset: Its samples are clips.
        texts: The captions that are searched.
        candidates: Captions of a video that the matching head scores; at most all.
        batch_size: Clips at once; a rest is left out.
        warm_up: Batches that are run and not counted.
        dtype: Type of autocast, None for full precision.

    Returns:
        What it took.

    Raises:
        ValueError: If there are no batches left to count.
    """
    batches = len(dataset) // batch_size
    if batches <= warm_up:
        raise ValueError(
            f'{len(dataset)} videos are {batches} batches of {batch_size}, of which {warm_up} warm up: '
            'none is left to measure.'
        )
    device = next(model.parameters()).device
    watch = Stopwatch(device)
    with nullcontext() if dtype is None else torch.autocast(device.type, dtype=dtype):
        with watch.part('captions'):
            ids, mask = model.data_preprocessor.tokenize(list(texts))
            embeddings = model.encode_text(ids, mask)
        captions = watch.totals()['captions']
        for batch in range(batches):
            watch.new_round()
            chosen = range(batch * batch_size, (batch + 1) * batch_size)
            logits = _score(model, dataset, chosen, (ids, mask, embeddings), candidates, watch)
    watch.rounds = watch.rounds[1 + warm_up :]
    wall, cpu = (
        {part: seconds / batch_size for part, seconds in watch.medians(clock).items()}
        for clock in ('wall', 'cpu')
    )
    matched = 0 if model.matching_head is None else logits.shape[1]
    return Throughput(wall, cpu, captions, matched, logits.float().cpu())


def _score(
    model: nn.Module,
    dataset: Any,
    chosen: Sequence[int],
    texts: tuple[Tensor, Tensor, Tensor],
    candidates: int,
    watch: Stopwatch,
) -> Tensor:
    ids, mask, embeddings = texts
    with watch.part('decode'):
        batch = video_text_collate([dataset[index] for index in chosen])
    with watch.part('prepare'):
        video = model.data_preprocessor({**batch, 'data_samples': []})['inputs']['video']
    with watch.part('backbone'):
        tokens = model.backbone(video)
    if model.matching_head is None:
        with watch.part('similarity'):
            return model.similarity(model.encode_video({'tokens': tokens}).queries, embeddings)
    with watch.part('neck'):
        tokens = tokens.flatten(1, 2) if model.neck is None else model.neck(tokens)
        tokens = model.vision_norm(tokens)
    with watch.part('Q-Former'):
        keys_values = model.qformer.project_video(tokens)
        queries, _ = model.qformer.encode_video(keys_values)
        queries = model.contrastive_head.project_queries(queries)
    with watch.part('re-rank'):
        similarity = model.similarity(queries, embeddings)
        best = similarity.topk(min(candidates, len(embeddings)), dim=1).indices
        return model.matching_head(model.qformer.fuse(keys_values, ids[best], mask[best]))


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Reads the command line."""
    parser = described_parser(__doc__)
    add_config_options(parser)
    parser.add_argument('--videos', type=int, default=8, help='clips to score')
    parser.add_argument('--random-weights', action='store_true', help='read no weight file that is named')
    parser.add_argument('--ann-file', help='annotation file of the clips; without it they are generated')
    parser.add_argument('--video-root', default='.', help='folder of the videos of --ann-file')
    parser.add_argument('--frames', type=int, help='frames of a clip, by default those of the config')
    parser.add_argument('--batch-size', type=int, default=1, help='clips at once')
    parser.add_argument('--warm-up', type=int, default=1, help='batches that are not counted')
    parser.add_argument('--device', help='cpu or cuda, by default cuda if there is one')
    parser.add_argument('--fp32', action='store_true', help='full precision on a GPU too')
    parser.add_argument('--bf16', action='store_true', help='bfloat16 on a CPU too')
    parser.add_argument('--threads', type=int, default=1, help='CPU threads')
    return parser.parse_args(argv)


def load(args: argparse.Namespace, folder: Path) -> tuple[Any, Any, list[str], int]:
    """Builds model, data set and captions; also says how many of these are matched with a video."""
    cfg = load_config(args.config, parse_overrides(args.cfg_options))
    if args.random_weights:
        for name in use_random_weights(cfg):
            print(f'--random-weights: {name} is not read', file=sys.stderr)
    candidates = (cfg.get('test_cfg') or {}).get('rerank_k', 0) or 32
    clips = (args.ann_file, args.video_root)
    if args.ann_file is None:
        clips = generate_clips(folder, args.videos)
    point_at(cfg, *clips)
    if args.frames:
        for step in cfg.test_dataloader.dataset.pipeline:
            if str(step['type']).endswith('LoadVideo'):
                step['num_frames'] = args.frames
    dataset = DATASETS.build(cfg.test_dataloader.dataset)
    texts = list(dataset.texts)
    if args.ann_file is None:
        texts += [f'pattern number {index} moves up' for index in range(len(texts), candidates)]
    return MODELS.build(cfg.model).eval(), dataset, texts, candidates


def main(argv: Sequence[str] | None = None) -> None:
    """Measures and prints."""
    args = parse_args(argv)
    if args.fp32 and args.bf16:
        raise ValueError('--fp32 and --bf16 exclude each other.')
    torch.set_num_threads(args.threads)
    device = torch.device(args.device or ('cuda' if torch.cuda.is_available() else 'cpu'))
    half = args.bf16 or (device.type == 'cuda' and not args.fp32)
    with tempfile.TemporaryDirectory() as folder:
        model, dataset, texts, candidates = load(args, Path(folder))
        model.to(device)
        clips = Subset(dataset, range(min(args.videos, len(dataset))))
        dtype = torch.bfloat16 if half else None
        found = measure_throughput(model, clips, texts, candidates, args.batch_size, args.warm_up, dtype)
    name = torch.cuda.get_device_name(device) if device.type == 'cuda' else f'CPU, {args.threads} threads'
    print(
        f'{len(clips)} {"generated" if args.ann_file is None else "real"} clips, batch {args.batch_size}, '
        f'{found.candidates} of {len(texts)} captions matched, {"bfloat16" if half else "float32"}, {name}'
    )
    total = sum(found.wall.values())
    for part, seconds in found.wall.items():
        print(
            f'  {part:12}{1e3 * seconds:11.2f} ms a video {100 * seconds / total:6.1f}%'
            f'{1e3 * found.cpu[part]:12.2f} ms of CPU'
        )
    print(f'  {"captions":12}{1e3 * found.captions:11.2f} ms once, for all of them')
    print(
        f'{1 / total:.3f} videos/s by the wall clock, {1 / sum(found.cpu.values()):.3f} by CPU time; '
        f'at most {peak_memory_gib(device):.2f} GiB'
    )
    print(f'paper, Table 6: {PAPER}')


if __name__ == '__main__':
    sys.exit(run_tool(main))
