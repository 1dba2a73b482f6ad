"""Tests a checkpoint.

Example:
    python tools/test.py configs/retrieval/custom_tiny.py work_dirs/custom_tiny/epoch_200.pth
    python tools/test.py configs/moving_shapes/stgt_tiny.py best.pth --dsl --out results.json
    python tools/test.py configs/baselines/clip4clip_vitb32_msrvtt.py pretrained
"""

import argparse
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

# in place of a checkpoint: zero-shot
PRETRAINED = 'pretrained'


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Reads the options."""
    parser = described_parser(__doc__)
    add_config_options(parser)
    parser.add_argument(
        'checkpoint',
        help='a .pth or .safetensors file, must fit the model in every key; or the word '
        f"'{PRETRAINED}': the published weights that the config names, as they are",
    )
    add_run_options(parser)
    parser.add_argument('--out', help='write metrics and protocol to this JSON file')
    parser.add_argument(
        '--dsl', action='store_true', help='report dual softmax too; it takes all test queries at once'
    )
    parser.add_argument(
        '--qb-norm', metavar='JSONL', help='report query-bank normalisation too, with the texts of this file'
    )
    parser.add_argument(
        '--skip-broken', action='store_true', help='leave out clips that cannot be decoded and say how many'
    )
    return parser.parse_args(argv)


def apply_options(cfg: Any, args: argparse.Namespace) -> None:
    """Hands the options of the tool to the test loop, if it takes them."""
    from stgt_mm.config_check import accepted_keys, resolve_type

    wanted: dict[str, Any] = {'skip_broken': True} if args.skip_broken else {}
    added = [dict(type='DSL')] if args.dsl else []
    if args.qb_norm is not None:
        added.append(dict(type='QBNorm', bank=args.qb_norm))
    if added:
        given = list(cfg.test_cfg.get('post_processors') or [])
        replaced = {processor['type'] for processor in added}
        wanted['post_processors'] = [own for own in given if _name(own['type']) not in replaced] + added
    loop = cfg.test_cfg.get('type', 'TestLoop')
    accepted = accepted_keys(resolve_type(loop, ('test_cfg',)))
    for key, value in wanted.items():
        if accepted is not None and key not in accepted:
            raise ValueError(f'test_cfg.type={_name(loop)} takes no {key}; use RetrievalLoop.')
        cfg.test_cfg[key] = value


def _name(kind: Any) -> str:
    return str(getattr(kind, '__name__', kind)).rsplit('.', 1)[-1]


def main(argv: Sequence[str] | None = None) -> None:
    """Tests, prints the report and writes it if asked."""
    args = parse_args(argv)
    cfg = load_run_config(args)
    if cfg.get('test_cfg') is None or cfg.get('test_dataloader') is None:
        raise ValueError(f'{args.config} has no test_cfg and test_dataloader: nothing to test on.')
    apply_options(cfg, args)
    given = None if args.checkpoint == PRETRAINED else args.checkpoint
    cfg.resume, cfg.load_from, cfg.load_strict = False, given, True
    reads = ['test_dataloader']
    if args.check_only:
        check_run(cfg, reads)
        return
    from stgt_mm.evaluation.report import report_test
    from stgt_mm.random_weights import weight_files
    from stgt_mm.utils import bare_model

    runner = build_runner(cfg, reads)
    if given is None and not getattr(bare_model(runner.model), 'is_complete', False):
        raise ValueError(
            f"'{PRETRAINED}' in place of a checkpoint needs a model that is whole as published, such as "
            f'DualEncoder with backbone.pretrained and no temporal_layers; that of {args.config} is not.'
        )
    metrics = runner.test()
    if runner.rank == 0:
        told = {'config': args.config, 'checkpoint': given or f'none, {", ".join(weight_files(cfg.model))}'}
        report_test(runner.test_loop, metrics, told, cfg, args.out)


if __name__ == '__main__':
    sys.exit(run_tool(main))
