"""The options of command lines that say where work is done."""

import argparse
import os
from collections.abc import Iterable

from stgt_mm.jobs.engine import ENGINES, Engine


def add_engine_options(parser: argparse.ArgumentParser, time_limit: float) -> None:
    """Adds the options that :func:`engine_of` reads."""
    add = parser.add_argument
    engine_help = 'local: processes of this machine (default); ray: a Ray cluster'
    add('--engine', choices=ENGINES, default='local', help=engine_help)
    add('--ray-address', metavar='HOST:PORT', help='a cluster that runs; default: Ray on this machine')
    add('--jobs', type=int, default=min(os.cpu_count() or 1, 8), help='processes')
    add('--time-limit', type=float, default=time_limit, metavar='S', help='seconds for an item')


def engine_of(args: argparse.Namespace, modules: Iterable[str] = ()) -> Engine:
    """Makes the engine that the options name."""
    return Engine(args.engine, args.jobs, args.time_limit, args.ray_address, tuple(modules))
