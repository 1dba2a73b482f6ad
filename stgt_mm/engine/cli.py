"""Common parts of the command-line tools: the environment of the process and errors for people.

Import this before torch: OpenMP reads its environment when it loads.
"""

import argparse
import logging
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

# waiting threads that spin nearly double a step when two cores are shared
os.environ.setdefault('OMP_WAIT_POLICY', 'PASSIVE')

EXIT_USER_ERROR = 2
EXIT_INTERRUPTED = 130  # what shells give for Ctrl-C


def described_parser(description: str | None) -> argparse.ArgumentParser:
    """Makes the parser of a tool, with the option that :func:`run_tool` reads, from the tool's docstring."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--traceback', action='store_true', help='show where in the code an error arose')
    return parser


def add_config_options(parser: argparse.ArgumentParser) -> None:
    """Adds the options that every tool with a config has."""
    parser.add_argument('config', help='config file, e.g. configs/moving_shapes/stgt_tiny.py')
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        default=[],
        action='extend',
        metavar='KEY=VALUE',
        help='settings to override, e.g. model.neck.type=CrossFrameNeck train_dataloader.batch_size=16',
    )


def add_picture_options(parser: argparse.ArgumentParser, out: str) -> None:
    """Adds the options of tools that draw what a trained model does, into ``out`` by default."""
    add_config_options(parser)
    parser.add_argument('checkpoint', help='a .pth or .safetensors file; must fit the model in every key')
    parser.add_argument('--out', default=out, help='PNG file to write')


def add_run_options(parser: argparse.ArgumentParser) -> None:
    """Adds the options of tools that run a model."""
    parser.add_argument('--work-dir', help='folder for logs and checkpoints, default work_dirs/<config name>')
    parser.add_argument('--launcher', choices=('none', 'pytorch', 'slurm'), default='none')
    parser.add_argument('--local-rank', '--local_rank', type=int, default=0, help=argparse.SUPPRESS)
    # tools/misc/launch.sh asks this of one process, so that a mistake is told once and not by a launcher
    parser.add_argument('--check-only', action='store_true', help='look for all files, then stop')


def load_run_config(args: argparse.Namespace) -> Any:
    """Loads the config of a run and applies the common options: ``work_dir`` and ``launcher`` are set."""
    from stgt_mm.config import load_config, parse_overrides

    sys.path.insert(0, os.getcwd())  # a module of the user's own is imported from where the tool is started
    cfg = load_config(args.config, parse_overrides(args.cfg_options))
    if args.work_dir is not None:
        cfg.work_dir = args.work_dir
    elif cfg.get('work_dir') is None:
        cfg.work_dir = str(Path('work_dirs') / Path(args.config).stem)
    cfg.launcher = args.launcher
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    return cfg


def check_run(cfg: Any, reads: Sequence[str]) -> None:
    """Checks a run instead of running it, for ``--check-only``: epochs that agree, files that are there."""
    from stgt_mm.config_check import check_epochs
    from stgt_mm.engine.needed_files import check_needed_files

    if 'train_dataloader' in reads:
        check_epochs(cfg)
    check_needed_files(cfg, reads)
    print('the config is valid and every file that the run reads is there')


def build_runner(cfg: Any, reads: Sequence[str] = ()) -> Any:
    """Builds the runner that a config names, once the files of these data loaders are there."""
    from stgt_mm.config_check import resolve_type
    from stgt_mm.engine.needed_files import check_needed_files

    if reads:
        check_needed_files(cfg, reads)
    runner_cls = resolve_type(cfg.get('runner_type', 'VideoTextRunner'), ('runner_type',))
    return runner_cls.from_cfg(cfg)


def run_tool(main: Callable[[Sequence[str] | None], None], argv: Sequence[str] | None = None) -> int:
    """Runs a tool with the arguments of the process, or with ``argv``; the user's errors become one message.

    The exit status is 0, 2 after an error that the user can correct, 1 after another, 130 after Ctrl-C.
    """
    from stgt_mm.engine.checkpoint.disk_space import explained_when_full

    arguments = list(sys.argv[1:] if argv is None else argv)
    logging.raiseExceptions = '--traceback' in arguments  # a log on a full disk is no reason for a traceback
    try:
        with explained_when_full():
            main(arguments)
    except KeyboardInterrupt:
        if '--traceback' in arguments:
            traceback.print_exc()
        print('\ninterrupted', file=sys.stderr)
        return EXIT_INTERRUPTED
    except Exception as error:
        if _is_from_another_process(error) and '--traceback' not in arguments:
            print(f'\nerror: another process of this run has ended: {_message(error)[:200]}', file=sys.stderr)
            return 1
        if not _is_for_user(error) or '--traceback' in arguments:
            traceback.print_exc()
            return EXIT_USER_ERROR if _is_for_user(error) else 1
        print(f'\nerror: {_message(error)}', file=sys.stderr)
        print('(--traceback shows where in the code)', file=sys.stderr)
        return EXIT_USER_ERROR
    if _has_process_group():
        # gloo's threads else abort some processes at their exit
        sys.modules['torch'].distributed.destroy_process_group()
    return 0


def _has_process_group() -> bool:
    distributed = getattr(sys.modules.get('torch'), 'distributed', None)
    return distributed is not None and distributed.is_available() and distributed.is_initialized()


def _is_from_another_process(error: Exception) -> bool:
    # gloo has no error class of its own for a process that is gone
    gone = ('onnection closed by peer', 'onnection reset by peer', 'remote process exited', 'Socket closed')
    is_gone = isinstance(error, RuntimeError) and any(words in str(error) for words in gone)
    return is_gone and _has_process_group()


def _is_for_user(error: Exception) -> bool:
    from stgt_mm.errors import UserError

    if isinstance(error, UnicodeError):
        return False
    if isinstance(error, TypeError):
        # one that arose while mmengine built a component comes from a value of the config
        frames = [frame.f_globals.get('__name__') for frame, _ in traceback.walk_tb(error.__traceback__)]
        return 'mmengine.registry.build_functions' in frames
    return isinstance(error, (UserError, ValueError, KeyError, OSError, ImportError))


def _message(error: Exception) -> str:
    # str(KeyError) is the repr of its argument; an OSError built with an errno starts with it
    if isinstance(error, KeyError) and error.args:
        return str(error.args[0])
    if isinstance(error, OSError) and error.strerror:
        return f'{error.strerror}: {error.filename}' if error.filename else str(error.strerror)
    return str(error) or type(error).__name__
