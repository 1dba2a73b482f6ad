"""Runs a config at its real size: scores clips end to end, then trains one step; prints time and memory.

Each of the two runs in a process of its own, whose most memory is held against a limit. Without --ann-file
the clips are generated. --random-weights is for a machine without the weights: no weight file is read.

Example:
    python benchmarks/full_size_check.py configs/retrieval/msrvtt_zeroshot.py --random-weights \
        --ann-file two.jsonl --video-root videos \
        --cfg-options model.data_preprocessor.tokenizer.vocab=bert-base-uncased/vocab.txt
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from stgt_mm.engine.cli import add_config_options, described_parser, run_tool


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Reads the command line."""
    parser = described_parser(__doc__)
    add_config_options(parser)
    parser.add_argument('--random-weights', action='store_true', help='read no weight file that is named')
    parser.add_argument('--ann-file', help='annotation file of the clips; without it two are generated')
    parser.add_argument('--video-root', default='.', help='folder of the videos of --ann-file')
    parser.add_argument('--batch-size', type=int, default=2, help='pairs of the training step')
    parser.add_argument('--test-gib', type=float, default=12, help='limit of the memory while scoring')
    parser.add_argument('--train-gib', type=float, default=20, help='limit of the memory of the step')
    parser.add_argument('--threads', type=int, default=1, help='CPU threads')
    parser.add_argument('--only', choices=('test', 'train'), help='one of the two, in this process')
    parser.add_argument('--json', action='store_true', help=argparse.SUPPRESS)
    return parser.parse_args(argv)


def run_one(args: argparse.Namespace) -> dict[str, Any]:
    """Scores or trains in this process.

    Args:
        args: Options.

    Returns:
        Fields of a ``FullRun``.
    """
    import torch
    from full_run import generate_clips, point_at, score, train_step, use_random_weights

    from stgt_mm.config import load_config, parse_overrides

    torch.set_num_threads(args.threads)
    cfg = load_config(args.config, parse_overrides(args.cfg_options))
    if args.random_weights:
        for name in use_random_weights(cfg):
            print(f'--random-weights: {name} is not read', file=sys.stderr)
    with tempfile.TemporaryDirectory() as folder:
        clips = (args.ann_file, args.video_root)
        if args.ann_file is None:
            clips = generate_clips(Path(folder), max(2, args.batch_size))
        point_at(cfg, *clips)
        cfg.work_dir = folder
        return vars(score(cfg) if args.only == 'test' else train_step(cfg, args.batch_size))


def run_in_child(argv: Sequence[str], only: str) -> dict[str, Any]:
    """Runs one of the two in a process of its own.

    Args:
        argv: Arguments of this tool.
        only: 'test' or 'train'.

    Returns:
        Fields of a ``FullRun``.

    Raises:
        SystemExit: If it failed; it has said why.
    """
    command = [sys.executable, __file__, *argv, '--only', only, '--json']
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.returncode)
    return json.loads(done.stdout.splitlines()[-1])


def show(what: str, run: dict[str, Any], limit: float) -> bool:
    """Prints a run.

    Args:
        what: What was done.
        run: Fields of a ``FullRun``.
        limit: GiB it may take.

    Returns:
        Whether the memory was within the limit.
    """
    total, cpu = sum(run['wall'].values()), sum(run['cpu'].values())
    print(f'\n{what}: {total:.1f} s, {cpu:.1f} s of CPU, at most {run["peak_gib"]:.2f} GiB (limit {limit:g})')
    for part, seconds in sorted(run['cpu'].items(), key=lambda pair: -pair[1]):
        print(f'  {part:22}{run["wall"][part]:9.2f} s {seconds:9.2f} s of CPU {100 * seconds / cpu:6.1f}%')
    print('  ' + ', '.join(f'{key} {value:.4g}' for key, value in run['result'].items()))
    return run['peak_gib'] <= limit


def main(argv: Sequence[str] | None = None) -> None:
    """Runs, prints, and fails if memory went over a limit."""
    from stgt_mm.errors import UserError

    args = parse_args(argv)
    given = list(sys.argv[1:] if argv is None else argv)
    limits = {'test': args.test_gib, 'train': args.train_gib}
    names = {'test': 'scoring clips against captions', 'train': f'a training step of {args.batch_size} pairs'}
    over = []
    for only in [args.only] if args.only else limits:
        run = run_one(args) if args.only else run_in_child(given, only)
        if args.json:
            print(json.dumps(run))
        elif not show(names[only], run, limits[only]):
            over.append(only)
    if over:
        raise UserError(f'more memory than the limit: {", ".join(over)}')


if __name__ == '__main__':
    sys.exit(run_tool(main))
