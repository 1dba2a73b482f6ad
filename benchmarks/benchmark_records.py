"""Measures annotation files: conversion, opening, the order of an epoch, memory and speed of workers.

Without a file, one with --lines lines like WebVid's is written to the temporary folder and removed after.

Example:
  python benchmarks/benchmark_records.py --lines 10000000
"""

import argparse
import multiprocessing
import resource
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from stgt_mm.datasets.records import Records, read_records, write_records
from stgt_mm.datasets.samplers import EpochSampler
from stgt_mm.engine.cli import described_parser, run_tool

WORDS = ('a', 'man', 'woman', 'walks', 'on', 'the', 'beach', 'with', 'dog', 'at', 'sunset', 'in', 'slow')
LENGTH = 12


def example_records(lines: int, captions: int) -> Iterator[dict[str, Any]]:
    """Yields records without ids like those of WebVid: a path of two parts, twelve words."""
    rng = np.random.default_rng(0)
    pool = [WORDS[place] for place in rng.integers(len(WORDS), size=100_000)]
    starts = rng.integers(len(pool) - LENGTH, size=lines)
    for line, start in enumerate(starts.tolist()):
        video, words = line // captions, ' '.join(pool[start : start + LENGTH])
        yield {'video': f'{video // 1000:06d}/{video:010d}.mp4', 'text': words}


def memory(name: str = 'Private_Dirty') -> float:
    """Returns MiB of this process: by default what it shares with nobody and no file on disk backs."""
    lines = Path('/proc/self/smaps_rollup').read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith(name)) / 2**10


def read_as_worker(records: Records, seed: int, reads: int, pipe: Any) -> None:
    """Reads records in random order, as a worker of a data loader does; sends what that took."""
    places = np.random.default_rng(seed).integers(len(records), size=reads).tolist()
    start = time.process_time()
    for place in places:
        records[place]
    spent = time.process_time() - start
    pipe.send((spent / reads * 1e6, memory(), memory('Rss')))


def measure(path: str, workers: int, reads: int) -> dict[str, float]:
    """Returns the figures of a file, by name."""
    before = memory('Rss')
    start, cpu = time.perf_counter(), time.process_time()
    read_records(path)
    figures = {'convert s': time.perf_counter() - start, 'convert CPU s': time.process_time() - cpu}
    figures['peak MiB'] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10 - before
    start = time.perf_counter()
    records = read_records(path)
    figures['open s'] = time.perf_counter() - start
    sampler = EpochSampler(records, seed=0, rank=0, world_size=1)
    start, cpu = time.perf_counter(), time.process_time()
    indices = iter(sampler)
    next(indices)
    figures['order of an epoch s'] = time.perf_counter() - start
    figures['order of an epoch CPU s'] = time.process_time() - cpu
    for _ in indices:
        pass
    figures['all its index objects s'] = time.perf_counter() - start
    context = multiprocessing.get_context('fork')
    pipes = [context.Pipe(duplex=False) for _ in range(workers)]
    processes = [
        context.Process(target=read_as_worker, args=(records, seed, reads, pipe[1]))
        for seed, pipe in enumerate(pipes)
    ]
    for process in processes:
        process.start()
    results = [pipe[0].recv() for pipe in pipes]
    for process in processes:
        process.join()
    names = ('read µs', 'worker MiB of its own', 'worker MiB with shared')
    return {'lines': len(records), **figures, **dict(zip(names, np.max(results, axis=0).tolist()))}


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Reads the command line."""
    parser = described_parser(__doc__)
    parser.add_argument('file', nargs='?', help='annotation file; without one, an example is written')
    parser.add_argument('--lines', type=int, default=1_000_000, help='lines of the example')
    parser.add_argument('--captions', type=int, default=1, help='captions a video of the example')
    parser.add_argument('--workers', type=int, default=4, help='processes that read')
    parser.add_argument('--reads', type=int, default=100_000, help='records that each of them reads')
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Measures and prints a table; the table of a file that was converted before is opened, not made."""
    args = parse_args(argv)
    if min(args.lines, args.captions, args.workers, args.reads) < 1:
        raise ValueError('--lines, --captions, --workers and --reads must be at least 1.')
    with tempfile.TemporaryDirectory() as folder:
        path = args.file
        if path is None:
            path = str(Path(folder) / 'example.jsonl')
            write_records(example_records(args.lines, args.captions), path)
        for name, value in measure(path, args.workers, args.reads).items():
            print(f'| {name} | {value:,.{0 if name == "lines" else 2}f} |')


if __name__ == '__main__':
    sys.exit(run_tool(main))
