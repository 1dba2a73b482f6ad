"""Tests a checkpoint.

Example:
    python tools/test.py configs/retrieval/custom_tiny.py work_dirs/custom_tiny/epoch_200.pth
"""

import argparse
import sys
from collections.abc import Sequence
from typing import Any

from stgt_mm.engine.cli import add_config_options, add_run_options, build_runner, load_run_config, run_tool


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Parses the options.

    Args:
        argv: Arguments.

    Returns:
        The options.
    """
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_config_options(parser)
    parser.add_argument('checkpoint', help='a .pth or .safetensors file; must fit the model in every key')
    add_run_options(parser)
    parser.add_argument('--out', help='write metrics and protocol to this JSON file')
    parser.add_argument(
        '--skip-broken', action='store_true', help='leave out clips that cannot be decoded and say how many'
    )
    return parser.parse_args(argv)


def apply_skip_broken(cfg: Any) -> None:
    """Lets the test loop leave out clips that cannot be decoded.

    Args:
        cfg: The config.

    Raises:
        ValueError: If the test loop cannot.
    """
    from stgt_mm.config_check import accepted_keys, resolve_type

    loop = cfg.test_cfg.get('type', 'TestLoop')
    accepted = accepted_keys(resolve_type(loop, ('test_cfg',)))
    if accepted is not None and 'skip_broken' not in accepted:
        raise ValueError(f'--skip-broken: test_cfg.type={loop} never leaves clips out; use RetrievalLoop.')
    cfg.test_cfg.skip_broken = True


def main(argv: Sequence[str] | None = None) -> None:
    """Tests and prints the table.

    Args:
        argv: Arguments.

    Raises:
        ValueError: If the config has no test set.
    """
    args = parse_args(argv)
    cfg = load_run_config(args)
    if cfg.get('test_cfg') is None or cfg.get('test_dataloader') is None:
        raise ValueError(f'{args.config} has no test_cfg and test_dataloader: nothing to test on.')
    if args.skip_broken:
        apply_skip_broken(cfg)
    cfg.resume, cfg.load_from, cfg.load_strict = False, args.checkpoint, True
    runner = build_runner(cfg)
    metrics = runner.test()
    if runner.rank == 0:
        report(runner, metrics, args)


def report(runner: Any, metrics: dict[str, float], args: argparse.Namespace) -> None:
    """Prints the result with its protocol and writes it if asked.

    Args:
        runner: The runner.
        metrics: Result of the test.
        args: Options of the tool.
    """
    from stgt_mm.evaluation.report import format_table, write_results

    protocol = dict(getattr(runner.test_loop, 'protocol', {}), config=args.config, checkpoint=args.checkpoint)
    print(format_table(metrics, protocol))
    if args.out is not None:
        write_results(args.out, metrics, protocol)
        print(f'written to {args.out}')


if __name__ == '__main__':
    sys.exit(run_tool(main))
