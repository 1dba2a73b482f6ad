"""Measures the readers on a folder of videos: right counts, right frames, errors, hangs, speed.

Every file is read in a process of its own with a time limit, so that a hang or a crash is seen and
counted. Frames are compared with those of one plain decode from start to end. ``decord-bare`` is
decord without the checks of this package.

    python benchmarks/benchmark_readers.py FOLDER [--json videos.json] [--tiny 200]
"""

import json
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import TimeoutError
from pathlib import Path

import av
import numpy as np
from pebble import ProcessExpired, ProcessPool

from stgt_mm.datasets.frame_sampling import sample_frame_indices
from stgt_mm.datasets.readers import (
    VideoReadError,
    open_video,
    read_frames,
    reader_order,
    write_video,
)
from stgt_mm.datasets.readers.facts import forget_all
from stgt_mm.datasets.readers.torchcodec import video_decoder
from stgt_mm.engine.cli import described_parser, run_tool

# Conversions to RGB may differ by rounding; beyond this mean difference the frame is looked up in the clip.
TOLERANCE = 0.5
BARE = 'decord-bare'
OUTCOMES = ('right', 'refused', 'wrong count', 'wrong frames', 'error', 'hang', 'crash')


def decode_plainly(path: str) -> list[av.VideoFrame]:
    """Returns the frames of one decode without jumps, up to the first error: the reference."""
    frames = []
    with av.open(path) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        try:
            for frame in container.decode(stream):
                frames.append(frame)
        except av.FFmpegError:
            return frames
    return frames


def _to_array(frame: av.VideoFrame) -> np.ndarray:
    return np.rot90(frame.to_ndarray(format='rgb24'), round(frame.rotation / 90) % 4).astype(int)


def _read_bare(path: str, num_frames: int) -> tuple[np.ndarray, int]:
    import decord

    opened = decord.VideoReader(path, num_threads=1)
    return opened.get_batch(sample_frame_indices(len(opened), num_frames)).asnumpy(), len(opened)


def _timed(function: Callable, *args: object, **kwargs: object) -> tuple[object, float]:
    # CPU time of all threads: it does not depend on what else the machine does.
    start = time.process_time()
    result = function(*args, **kwargs)
    return result, 1e3 * (time.process_time() - start)


def _measure(path: str, reader: str, num_frames: int) -> dict:
    if reader == BARE:
        (frames, count), first = _timed(_read_bare, path, num_frames)
        _, again = _timed(_read_bare, path, num_frames)
    else:
        forget_all()
        frames, first = _timed(read_frames, path, num_frames, reader=reader)
        again_frames, again = _timed(read_frames, path, num_frames, reader=reader)
        if not np.array_equal(frames, again_frames):
            return {'outcome': 'wrong frames', 'why': 'the second read differs from the first'}
        with open_video(path, reader=reader) as opened:
            count = opened.num_frames
    return {'count': count, 'first': first, 'again': again, 'frames': frames}


def _find_wrong(frames: np.ndarray, expected: list[av.VideoFrame]) -> str:
    """Says what is wrong with frames that should be spread evenly over the expected ones, or ''."""
    for index, frame in zip(sample_frame_indices(len(expected), len(frames)), frames):
        right = _to_array(expected[index])
        if right.shape != frame.shape:
            return f'shape {frame.shape}, truth {right.shape}'
        if np.abs(right - frame).mean() <= TOLERANCE:
            continue
        nearest = int(np.argmin([np.abs(_to_array(other) - frame).mean() for other in expected]))
        if nearest != index:
            return f'frame {nearest} in place of frame {index}'
    return ''


def _judge(result: dict, path: str, truth: int | None) -> dict:
    frames = result.pop('frames')
    if truth is not None and result['count'] != truth:
        return {**result, 'outcome': 'wrong count', 'why': f'{result["count"]} frames, truth {truth}'}
    why = _find_wrong(frames, decode_plainly(path))
    return {**result, 'outcome': 'wrong frames' if why else 'right', 'why': why}


def _read(path: str, reader: str, num_frames: int, truth: int | None, readable: bool) -> dict:
    try:
        return _judge(_measure(path, reader, num_frames), path, truth)
    except VideoReadError as error:
        return {'outcome': 'refused' if readable else 'right', 'why': error.why}
    except Exception as error:  # whatever a library raises is a finding, not a reason to stop
        lines = str(error).strip().splitlines() or [type(error).__name__]
        return {'outcome': 'error' if readable else 'right', 'why': lines[0][:160]}


def run_one(path: str, reader: str, num_frames: int, truth: int | None, readable: bool, limit: float) -> dict:
    """Reads one file with one reader in a process of its own, which is killed after ``limit`` seconds.

    ``truth`` is the true number of frames, if known; a typed error is right for a file that is not
    ``readable``, having no video at all.

    Returns:
        ``outcome`` (one of ``OUTCOMES``), and as far as known ``count``, ``why``, CPU milliseconds
        ``first`` and ``again``.
    """
    with ProcessPool(max_workers=1, max_tasks=1) as pool:
        future = pool.schedule(_read, (path, reader, num_frames, truth, readable), timeout=limit)
        try:
            return future.result()
        except TimeoutError:
            return {'outcome': 'hang', 'why': f'nothing after {limit:g} s'}
        except ProcessExpired as error:
            return {'outcome': 'crash', 'why': f'exit code {error.exitcode}'}


def time_tiny(readers: list[str], clips: int) -> dict[str, tuple[float, float]]:
    """Times clips like those of Moving Shapes: 64x64 pixels, 24 frames, H.264.

    Returns:
        CPU milliseconds a clip of 8 frames, first and second read, for each reader.
    """
    pattern = np.random.default_rng(0).integers(0, 255, (8, 8, 3), dtype=np.uint8).repeat(8, 0).repeat(8, 1)
    frames = np.stack([np.roll(pattern, 2 * i, axis=1) for i in range(24)])
    times = {}
    with tempfile.TemporaryDirectory() as folder:
        paths = [str(write_video(Path(folder) / f'{i}.mp4', frames)) for i in range(clips)]
        for reader in readers:
            read = _read_bare if reader == BARE else read_frames
            options = {} if reader == BARE else {'reader': reader}
            forget_all()
            rounds = []
            for _ in range(2):
                rounds.append(sum(_timed(read, path, 8, **options)[1] for path in paths) / clips)
            times[reader] = tuple(rounds)
    return times


def print_ratios(files: list[Path], small: Path | None, num_frames: int, rounds: int = 3) -> None:
    """Prints first reads over later ones and, with a folder of compressed files, theirs over these."""
    print('| file | counted by | first / again | small / again |\n| --- | --- | --- | --- |')
    sums = np.zeros(4)  # of files without fallback: first, again; of compressed ones: again, small
    for path in files:
        little = small / path.name if small and (small / path.name).is_file() else None
        try:
            with open_video(path, 'pyav') as video:
                exact = video.exact
            ms = []
            for _ in range(rounds):
                forget_all()
                ms.append([_timed(read_frames, path, num_frames, 'pyav')[1] for _ in range(2)])
                # a compressed file is known after its first read, too
                ms[-1] += (
                    [_timed(read_frames, little, num_frames, 'pyav')[1] for _ in range(2)][1:]
                    if little
                    else [0]
                )
        except VideoReadError:
            continue
        first, again, after = np.median(ms, axis=0)
        sums += [first * (not exact), again * (not exact), again * bool(little), after]
        ratio = f'{after / again:.2f}' if little else ''
        print(f'| {path.name} | {"decoding" if exact else "packets"} | {first / again:.2f} | {ratio} |')
    print(f'\nSums: first / again {sums[0] / sums[1]:.2f} where packets were counted', end='')
    print(f', small / again {sums[3] / sums[2]:.2f}' if small else '')


def print_tables(results: dict[str, dict[str, dict]], tiny: dict[str, tuple[float, float]]) -> None:
    """Prints the tables in Markdown."""
    right = [
        {f for f, r in files.items() if r['outcome'] == 'right' and 'first' in r}
        for files in results.values()
    ]
    everywhere = set.intersection(*right)
    print(f'| reader | {" | ".join(OUTCOMES)} | ms first | ms again | ms tiny clip first | again |')
    print('| --- ' * (len(OUTCOMES) + 5) + '|')
    for reader, files in results.items():
        counts = Counter(result['outcome'] for result in files.values())
        speed = [
            np.mean([files[f][k] for f in everywhere]) if everywhere else np.nan for k in ('first', 'again')
        ]
        cells = [*(str(counts[o]) for o in OUTCOMES), *(f'{s:.1f}' for s in speed)]
        cells += [f'{ms:.2f}' for ms in tiny.get(reader, ())] or ['', '']
        print(f'| {reader} | {" | ".join(cells)} |')
    print(f'\nCPU milliseconds: mean over the {len(everywhere)} files that all readers get right.\n')
    print('| file | reader | outcome | why |\n| --- | --- | --- | --- |')
    for reader, files in results.items():
        for file, result in files.items():
            if result['outcome'] != 'right':
                print(f'| {file} | {reader} | {result["outcome"]} | {result["why"].replace("|", " ")} |')


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the measurement and prints Markdown tables."""
    parser = described_parser(__doc__)
    parser.add_argument('folder', type=Path, help='folder of video files')
    parser.add_argument('--json', type=Path, help='list of {file, frames_decoded}: the true counts')
    parser.add_argument('--num-frames', type=int, default=8)
    parser.add_argument(
        '--readers', nargs='+', default=['auto'], help='names of readers, default: all of auto'
    )
    parser.add_argument('--limit', type=float, default=30, help='seconds a file may take')
    parser.add_argument('--tiny', type=int, default=0, help='also time this many 64x64 clips')
    ratios_help = 'only costs of pyav: first reads over later ones'
    parser.add_argument('--ratios', action='store_true', help=ratios_help)
    parser.add_argument('--small', type=Path, help='with --ratios: folder of the same files, compressed')
    args = parser.parse_args(argv)
    truths = {r['file']: r['frames_decoded'] for r in json.loads(args.json.read_text())} if args.json else {}
    files = sorted(path for path in args.folder.iterdir() if path.is_file() and path.name != 'videos.json')
    if not files:
        parser.error(f'no file in {args.folder}')
    if args.ratios:
        return print_ratios(files, args.small, args.num_frames)
    readers = reader_order(args.readers[0] if args.readers == ['auto'] else args.readers)
    readers += [BARE] if 'decord' in readers else []
    if 'torchcodec' in readers:
        video_decoder()  # imported here, and not in the time of each file
    results: dict[str, dict[str, dict]] = defaultdict(dict)
    for path in files:
        truth = truths.get(path.name)
        readable = path.name not in truths or truth is not None
        for reader in readers:
            result = run_one(str(path), reader, args.num_frames, truth, readable, args.limit)
            results[reader][path.name] = result
    print_tables(results, time_tiny(readers, args.tiny) if args.tiny else {})


if __name__ == '__main__':
    sys.exit(run_tool(main))
