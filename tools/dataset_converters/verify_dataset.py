"""Looks at every video or image of an annotation file: missing, unreadable, too short, duplicated.

Each file is decoded in a child process with a time limit, so one that hangs or crashes a decoder is reported
like the others. Killed in the middle, the same command goes on where it was. Writes train.verified.jsonl with
the lines that can be used, and into train.verification/ report.txt, report.json and the journal.

Example:
  python tools/dataset_converters/verify_dataset.py data/webvid2m/train.jsonl data/webvid2m/videos --jobs 16
"""

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from stgt_mm.engine.cli import described_parser, run_tool
from stgt_mm.jobs.options import add_engine_options, engine_of
from stgt_mm.preparation.command_line import resumable
from stgt_mm.preparation.verification import Criteria, Inspection, verify


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Reads the command line."""
    parser = described_parser(__doc__)
    add = parser.add_argument
    add('ann_file', type=Path, help='annotation file (.jsonl)')
    add('video_root', type=Path, help='folder that its video paths are relative to')
    add('--out', type=Path, help='filtered annotation file, default <ann_file>.verified.jsonl')
    add('--report-dir', type=Path, help='folder of reports and journal, default <ann_file>.verification')
    add_engine_options(parser, time_limit=120.0)
    add('--min-frames', type=int, default=2, help='a video with fewer is too short')
    add('--min-seconds', type=float, default=0.0, help='a video that lasts less is too short')
    keep_help = 'report, but do not filter out: too_short, duplicated'
    add('--keep', nargs='+', default=[], metavar='KIND', help=keep_help)
    add('--reader', nargs='+', default=['auto'], help='readers to try, as in LoadVideo')
    import_help = 'modules with readers of yours'
    add('--import', dest='modules', nargs='+', default=[], metavar='MODULE', help=import_help)
    add(
        '--quick',
        action='store_true',
        help='count packets and decode three frames: damage between is not seen',
    )
    add('--no-hash', action='store_true', help='do not look for copies: reads less')
    add('--restart', action='store_true', help='look again at files known from a run before')
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Verifies, reports and filters."""
    args = parse_args(argv)
    sys.path.insert(0, os.getcwd())  # a module of the user's own is imported from where the tool is started
    for module in args.modules:
        import_module(module)
    stem = args.ann_file.with_suffix('')
    folder = args.report_dir or stem.with_name(f'{stem.name}.verification')
    out = args.out or stem.with_name(f'{stem.name}.verified.jsonl')
    how = Inspection(
        args.reader[0] if len(args.reader) == 1 else args.reader, not args.quick, not args.no_hash
    )
    criteria = Criteria(args.min_frames, args.min_seconds, tuple(args.keep))
    engine = engine_of(args, args.modules)
    with resumable():
        result = verify(args.ann_file, args.video_root, folder, how, criteria, engine, args.restart)
    files = result.write(folder)
    kept = result.write_filtered(out)
    print(result.text())
    print(f'All files with a problem: {", ".join(map(str, files))}')
    print(f'{kept:,} lines in {out}' if kept else f'No line can be used: {out} was not written.')


if __name__ == '__main__':
    sys.exit(run_tool(main))
