"""Writes features of videos in sliding windows, for a detector of actions: an .npy a video, times in JSON.

A second call goes on where the first was stopped, and makes again what has changed.

Example:
    python tools/analysis_tools/extract_features.py CONFIG CHECKPOINT data/activitynet/videos features \
        --window-s 2.56 --stride-s 0.64
"""

import argparse
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from stgt_mm.engine.cli import add_config_options, described_parser, run_tool
from stgt_mm.jobs.options import add_ray_options, ray_of


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Reads the options."""
    parser = described_parser(__doc__)
    add_config_options(parser)
    parser.add_argument('checkpoint', help='a .pth or .safetensors file; must fit the model in every key')
    parser.add_argument('videos', help='a folder, a file, or JSON lines with "video"')
    parser.add_argument('out', help='folder for <video>.npy and <video>.json')
    parser.add_argument('--window-s', type=float, required=True, help='seconds of a window')
    parser.add_argument('--stride-s', type=float, help='from one window to the next, default --window-s')
    parser.add_argument('--video-root', help='what paths in JSON lines are relative to, default its folder')
    parser.add_argument('--batch-size', type=int, help='windows together, default that of the test')
    workers_help = 'processes that read files for --engine local, default those of the test'
    parser.add_argument('--num-workers', type=int, help=workers_help)
    device_help = "'cpu' or 'cuda:0' for --engine local, default a GPU if there is one"
    parser.add_argument('--device', help=device_help)
    add_ray_options(parser)
    args = parser.parse_args(argv)
    if args.engine == 'ray' and (args.num_workers, args.device) != (None, None):
        parser.error('--num-workers and --device are for --engine local; --jobs and --gpus-per-job for ray')
    return args


def main(argv: Sequence[str] | None = None) -> None:
    """Extracts, and says what was done and what cannot be read."""
    args = parse_args(argv)
    from stgt_mm.apis.base import clip_pipeline, load_model
    from stgt_mm.apis.features import FeatureJob, extract_features, mean_tokens
    from stgt_mm.apis.file_jobs import run_files
    from stgt_mm.apis.moments import MomentStream, encode_files
    from stgt_mm.config import load_config, parse_overrides
    from stgt_mm.engine.loops.retrieval_options import autocast_dtype
    from stgt_mm.search.fingerprint import made_from
    from stgt_mm.search.sources import list_videos
    from stgt_mm.search.windows import check_windows

    engine, windows = ray_of(args), check_windows(args.window_s, args.stride_s)
    cfg = load_config(args.config, parse_overrides(args.cfg_options))
    pipeline = clip_pipeline(cfg)
    paths = list(list_videos(args.videos, args.video_root))
    model, _ = load_model(cfg, args.checkpoint, 'cpu' if engine else args.device)
    loader, amp = cfg.test_dataloader, autocast_dtype((cfg.get('test_cfg') or {}).get('amp', False))
    workers = loader.get('num_workers', 0) if args.num_workers is None else args.num_workers
    made = made_from(model, cfg.model, pipeline, str(amp or 'float32'))
    batch_size = args.batch_size or loader.get('batch_size', 1)

    def encode(todo: Sequence[str]) -> Iterable[tuple[int, Any]]:
        if engine is not None:
            job = FeatureJob(cfg.pretty_text, args.checkpoint, windows, batch_size, amp)
            return run_files(engine, job, todo)
        stream = MomentStream(pipeline, todo, windows)
        return encode_files(model, stream, batch_size, workers, amp, mean_tokens)

    found = extract_features(paths, windows, args.out, made, encode)
    print(f'{args.out}: {found.written} videos written, {found.unchanged} were there')
    if found.broken:
        lines = [f'  {path}: {why}' for path, why in sorted(found.broken.items())]
        print('\n'.join([f'{len(lines)} files cannot be read and have no features:', *lines]))


if __name__ == '__main__':
    sys.exit(run_tool(main))
