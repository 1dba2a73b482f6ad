"""Makes videos small and quick to read: short side 288, a keyframe every 16 frames, no sound.

Frames keep their number and times, files their path and name, so annotation files stay as they are; all
are H.264 in MP4, whatever the name. Killed in the middle, the same command goes on where it was, and a
file is there only when it is whole. Of a damaged file the frames before the damage are kept.

Example:
  python tools/dataset_converters/compress_videos.py data/webvid2m/videos data/webvid2m/videos_288 --jobs 16
"""

import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from stgt_mm.engine.cli import described_parser, run_tool
from stgt_mm.jobs.options import add_engine_options, engine_of
from stgt_mm.preparation.command_line import resumable
from stgt_mm.preparation.compression import Compression, compress

SHOWN = 5


def main(argv: Sequence[str] | None = None) -> None:
    """Compresses, and reports by file."""
    parser = described_parser(__doc__)
    add, standard = parser.add_argument, Compression()
    add('root', type=Path, help='folder of the videos, at any depth')
    add('out', type=Path, help='folder for the small ones, not below the other')
    add('--short-side', type=int, default=standard.short_side, help='pixels; smaller videos stay as they are')
    add('--gop', type=int, default=standard.gop, help='frames from a keyframe to the next, at most')
    add('--crf', type=int, default=standard.crf, help='quality of x264, 0 is lossless')
    add('--preset', default=standard.preset, help='speed of x264')
    add_engine_options(parser, time_limit=600.0)
    add('--report-dir', type=Path, help='folder of report.jsonl and journal, default <out>.compression')
    add('--restart', action='store_true', help='compress again what is known from a run before')
    args = parser.parse_args(argv)
    how = Compression(args.short_side, args.gop, args.crf, args.preset)
    folder = args.report_dir or args.out.with_name(f'{args.out.name}.compression')
    with resumable():
        findings = compress(args.root, args.out, how, folder, engine_of(args), args.restart)
    counts = Counter(found.outcome for found in findings)
    print(
        f'{len(findings):,} videos: {", ".join(f"{count:,} {kind}" for kind, count in counts.most_common())}'
    )
    flawed = [found for found in findings if found.outcome != 'ok']
    for found in flawed[:SHOWN]:
        kept = f'{found.frames} frames kept' if found.frames else 'nothing written'
        print(f'  {found.video}: {found.why}; {kept}')
    if len(flawed) > SHOWN:
        print(f'  ... {len(flawed) - SHOWN:,} more')
    print(f'All of them: {folder / "report.jsonl"}')


if __name__ == '__main__':
    sys.exit(run_tool(main))
