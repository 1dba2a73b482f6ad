"""Trains a model.

Example:
    python tools/train.py configs/moving_shapes/stgt_tiny.py --resume --cfg-options model.neck.num_layers=2
"""

import sys
from collections.abc import Sequence
from typing import Any

from stgt_mm.engine.cli import (
    add_config_options,
    add_run_options,
    build_runner,
    check_run,
    described_parser,
    load_run_config,
    run_tool,
)


def enable_amp(cfg: Any) -> None:
    """Turns mixed precision on: bfloat16 where the device has it, else float16."""
    import torch

    kind = cfg.optim_wrapper.get('type', 'AutocastOptimWrapper')
    if kind.rsplit('.', 1)[-1] != 'AutocastOptimWrapper':
        raise ValueError(f"--amp works with optim_wrapper.type='AutocastOptimWrapper', not '{kind}'.")
    on_gpu = torch.cuda.is_available()
    dtype = 'float16' if on_gpu and not torch.cuda.is_bf16_supported() else 'bfloat16'
    print(f'--amp: {dtype} autocast on the {"GPU" if on_gpu else "CPU (there is no GPU)"}', file=sys.stderr)
    cfg.optim_wrapper.dtype = dtype


def main(argv: Sequence[str] | None = None) -> None:
    """Trains."""
    parser = described_parser(__doc__)
    add_config_options(parser)
    add_run_options(parser)
    parser.add_argument(
        '--resume',
        nargs='?',
        const='auto',
        metavar='CHECKPOINT',
        help='go on with a training: with the newest checkpoint of the work dir, or the one given',
    )
    parser.add_argument('--amp', action='store_true', help='mixed precision; bfloat16 on a CPU')
    parser.add_argument(
        '--auto-scale-lr',
        action='store_true',
        help='scale the learning rate with the batch size of all processes',
    )
    args = parser.parse_args(argv)
    cfg = load_run_config(args)
    if args.amp:
        enable_amp(cfg)
    if args.auto_scale_lr:
        if not (cfg.get('auto_scale_lr') or {}).get('base_batch_size'):
            raise ValueError(
                '--auto-scale-lr: the config does not say for which batch size its learning rate is. '
                'Add --cfg-options auto_scale_lr.base_batch_size=N.'
            )
        cfg.auto_scale_lr.enable = True
    if args.resume is not None:
        cfg.resume = 'auto' if args.resume == 'auto' else True
        if args.resume != 'auto':
            cfg.load_from = args.resume
    reads = ['train_dataloader', 'val_dataloader']
    if args.check_only:
        check_run(cfg, reads)
    else:
        from stgt_mm.engine.checkpoint.disk_space import explained_when_full
        from stgt_mm.engine.needed_files import check_needed_files
        from stgt_mm.engine.work_dir_lock import work_dir_lock

        check_needed_files(cfg, reads)
        with explained_when_full(cfg.work_dir), work_dir_lock(cfg.work_dir, cfg.launcher):
            build_runner(cfg).train()


if __name__ == '__main__':
    sys.exit(run_tool(main))
