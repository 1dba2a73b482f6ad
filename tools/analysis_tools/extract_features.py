"""Writes features of videos in sliding windows, for a detector of actions: an .npy a video, times in JSON.

A second call goes on where the first was stopped, and makes again what has changed.

Example:
    python tools/analysis_tools/extract_features.py CONFIG CHECKPOINT data/activitynet/videos features \
        --window-s 2.56 --stride-s 0.64
"""

import argparse
import sys
from collections.abc import Sequence

from stgt_mm.engine.cli import add_config_options, described_parser, run_tool


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
    parser.add_argument(
        '--num-workers', type=int, help='processes that read files, default those of the test'
    )
    parser.add_argument('--device', help="'cpu' or 'cuda:0', default a GPU if there is one")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Extracts, and says what was done and what cannot be read."""
    args = parse_args(argv)
    from stgt_mm.apis.base import clip_pipeline, load_model
    from stgt_mm.apis.features import extract_features
    from stgt_mm.apis.moments import MomentStream
    from stgt_mm.config import load_config, parse_overrides
    from stgt_mm.engine.loops.retrieval_options import autocast_dtype
    from stgt_mm.search.fingerprint import made_from
    from stgt_mm.search.sources import list_videos
    from stgt_mm.search.windows import check_windows

    windows = check_windows(args.window_s, args.stride_s)
    cfg = load_config(args.config, parse_overrides(args.cfg_options))
    pipeline = clip_pipeline(cfg)
    stream = MomentStream(pipeline, list(list_videos(args.videos, args.video_root)), windows)
    model, _ = load_model(cfg, args.checkpoint, args.device)
    loader, amp = cfg.test_dataloader, autocast_dtype((cfg.get('test_cfg') or {}).get('amp', False))
    workers = loader.get('num_workers', 0) if args.num_workers is None else args.num_workers
    made = made_from(model, cfg.model, pipeline, str(amp or 'float32'))
    batch_size = args.batch_size or loader.get('batch_size', 1)
    found = extract_features(model, stream, args.out, made, batch_size, workers, amp)
    print(f'{args.out}: {found.written} videos written, {found.unchanged} were there')
    if found.broken:
        lines = [f'  {path}: {why}' for path, why in sorted(found.broken.items())]
        print('\n'.join([f'{len(lines)} files cannot be read and have no features:', *lines]))


if __name__ == '__main__':
    sys.exit(run_tool(main))
