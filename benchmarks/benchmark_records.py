"""Measures what an annotation file costs: seconds to check it, memory, microseconds a record.

Without a file, one with --lines lines like WebVid's is written to the temporary folder and removed at the
end.
Each way runs in a process of its own: "records" is what data sets use, "dicts" keeps each line as a dict.

Example:
  python benchmarks/benchmark_records.py --lines 2000000
"""

import argparse
import multiprocessing
import os
import resource
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from stgt_mm.datasets.records import read_jsonl, read_records, write_records
from stgt_mm.engine.cli import described_parser, run_tool

WORDS = (
    'a',
    'man',
    'woman',
    'walks',
    'on',
    'the',
    'beach',
    'with',
    'dog',
    'at',
    'sunset',
    'in',
    'slow',
    'city',
)
LENGTH = 12
ACCESSES = 20_000


def example_records(lines: int, captions: int) -> Iterator[dict[str, Any]]:
    """Makes records like those of WebVid: a path of two parts, twelve words.

    Args:
        lines: Number of records.
        captions: Records a video.

    Yields:
        Records without ids.
    """
    rng = np.random.default_rng(0)
    pool = [WORDS[place] for place in rng.integers(len(WORDS), size=100_000)]
    starts = rng.integers(len(pool) - LENGTH, size=lines)
    for line, start in enumerate(starts.tolist()):
        video, words = line // captions, ' '.join(pool[start : start + LENGTH])
        yield {'video': f'{video // 1000:06d}/{video:010d}.mp4', 'text': words}


def memory() -> float:
    """Returns what this process holds in memory, in MiB."""
    pages = int(Path('/proc/self/statm').read_text().split()[1])
    return pages * os.sysconf('SC_PAGE_SIZE') / 2**20


def measure(path: str, way: str, pipe: Any) -> None:
    """Loads a file and reads records in random order; sends the figures.

    Args:
        path: Annotation file.
        way: ``'records'`` or ``'dicts'``.
        pipe: Gets a dict of figures.
    """
    before, wall, cpu = memory(), time.perf_counter(), time.process_time()
    records = read_records(path) if way == 'records' else [row for _, row in read_jsonl(path)]
    figures = {
        'lines': len(records),
        'wall': time.perf_counter() - wall,
        'cpu': time.process_time() - cpu,
        'held': memory() - before,
        'peak': resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10 - before,
    }
    places = np.random.default_rng(0).integers(len(records), size=ACCESSES).tolist()
    cpu = time.process_time()
    for place in places:
        records[place]
    figures['access'] = (time.process_time() - cpu) / ACCESSES * 1e6
    pipe.send(figures)


def in_process(path: str, way: str) -> dict[str, float]:
    """Measures in a new process.

    Args:
        path: Annotation file.
        way: ``'records'`` or ``'dicts'``.

    Returns:
        The figures.

    Raises:
        ValueError: If the process ended without any: the file is broken, or there was no memory left.
    """
    context = multiprocessing.get_context('spawn')
    ours, theirs = context.Pipe(duplex=False)
    child = context.Process(target=measure, args=(path, way, theirs))
    child.start()
    theirs.close()
    try:
        return ours.recv()
    except EOFError as error:
        raise ValueError(f"'{path}' could not be measured ({way}); the reason stands above.") from error
    finally:
        child.join()


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Reads the command line."""
    parser = described_parser(__doc__)
    parser.add_argument('file', nargs='?', help='annotation file; without one, an example is written')
    parser.add_argument('--lines', type=int, default=1_000_000, help='lines of the example')
    parser.add_argument('--captions', type=int, default=1, help='captions a video of the example')
    parser.add_argument('--ways', nargs='+', choices=('records', 'dicts'), default=['records', 'dicts'])
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Measures and prints a table."""
    args = parse_args(argv)
    if min(args.lines, args.captions) < 1:
        raise ValueError(f'--lines {args.lines} and --captions {args.captions} must be at least 1.')
    with tempfile.TemporaryDirectory() as folder:
        path = args.file
        if path is None:
            path = str(Path(folder) / 'example.jsonl')
            write_records(example_records(args.lines, args.captions), path)
        size = Path(path).stat().st_size / 2**20 if Path(path).is_file() else 0
        print('| way | lines | file MiB | load wall s | load CPU s | held MiB | peak MiB | µs a record |')
        print('| --- ' * 8 + '|')
        for way in args.ways:
            f = in_process(path, way)
            cells = [f'{f["lines"]}', f'{size:.0f}', f'{f["wall"]:.1f}', f'{f["cpu"]:.1f}']
            cells += [f'{f["held"]:.0f}', f'{f["peak"]:.0f}', f'{f["access"]:.1f}']
            print(f'| {way} | {" | ".join(cells)} |')


if __name__ == '__main__':
    sys.exit(run_tool(main))
