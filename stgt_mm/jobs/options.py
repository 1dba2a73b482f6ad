"""The options of command lines that say where work is done."""

import argparse
import os
from collections.abc import Iterable

from stgt_mm.jobs.engine import ENGINES, Engine

_JOBS = min(os.cpu_count() or 1, 8)
_FILE_S = 3600.0  # for a film, and the loading of a model before it


def add_engine_options(parser: argparse.ArgumentParser, time_limit: float) -> None:
    """Adds the options that :func:`engine_of` reads."""
    _add_engine(parser, 'local: processes of this machine (default); ray: a Ray cluster')
    add = parser.add_argument
    add('--jobs', type=int, default=_JOBS, help='processes')
    add('--time-limit', type=float, default=time_limit, metavar='S', help='seconds for an item')


def _add_engine(parser: argparse.ArgumentParser, engine_help: str) -> None:
    parser.add_argument('--engine', choices=ENGINES, default='local', help=engine_help)
    address_help = 'a cluster that runs; default: Ray on this machine'
    parser.add_argument('--ray-address', metavar='HOST:PORT', help=address_help)


def engine_of(args: argparse.Namespace, modules: Iterable[str] = ()) -> Engine:
    """Makes the engine that the options name."""
    return Engine(args.engine, args.jobs, args.time_limit, args.ray_address, tuple(modules))


def add_ray_options(parser: argparse.ArgumentParser) -> None:
    """Adds the options that :func:`ray_of` reads, to a tool that runs a model in its own process."""
    _add_engine(parser, 'local: one model, here (default); ray: a model in each process of a Ray cluster')
    add = parser.add_argument
    add('--jobs', type=int, help=f'processes of --engine ray, default {_JOBS}')
    limit_help = f'seconds for a file, with --engine ray; default {_FILE_S:g}'
    add('--time-limit', type=float, metavar='S', help=limit_help)
    gpus_help = 'GPU, or part of one, of each process of --engine ray; default: none, on the CPU'
    add('--gpus-per-job', type=float, metavar='N', help=gpus_help)


def ray_of(args: argparse.Namespace) -> Engine | None:
    """Makes the engine that the options name; None is the process itself, which takes none of the others."""
    options = {
        'jobs': args.jobs,
        'time_limit': args.time_limit,
        'address': args.ray_address,
        'gpus': args.gpus_per_job,
    }
    given = {name: value for name, value in options.items() if value is not None}
    if args.engine == 'ray':
        return Engine('ray', **{'jobs': _JOBS, 'time_limit': _FILE_S, **given})
    if given:
        raise ValueError(
            f'{given}: --jobs, --time-limit, --ray-address and --gpus-per-job are for --engine ray.'
        )
    return None
