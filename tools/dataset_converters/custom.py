"""Makes an annotation file (JSON lines) for videos of your own.

Three forms are understood:
  table.csv   with the columns video,caption
  list.json   [{"video": ..., "caption": a text or a list of texts}, ...], as LAVIS has them
  folder/     clip.mp4 beside clip.txt, one caption a line; pictures as well

With --questions the first two have questions and answers:
  table.csv   with the columns video,question,answer
  list.json   [{"video": ..., "question": ..., "answer": a text or a list of texts}, ...]

Example:
  python tools/dataset_converters/custom.py captions.csv data/mine/train.jsonl --video-root data/mine/videos
"""

import sys
from collections.abc import Sequence

from stgt_mm.datasets.records import check_videos, read_records, write_records
from stgt_mm.engine.cli import described_parser, run_tool
from stgt_mm.preparation.annotations.custom import records_from
from stgt_mm.preparation.annotations.custom_questions import questions_from


def main(argv: Sequence[str] | None = None) -> None:
    """Converts, checks and says what to do next."""
    parser = described_parser(__doc__)
    parser.add_argument('source', help='a .csv file, a .json file or a folder')
    parser.add_argument('out', help='annotation file to write (.jsonl)')
    root_help = 'folder of the videos: says now, not later, whether they are there'
    parser.add_argument('--video-root', help=root_help)
    parser.add_argument('--questions', action='store_true', help='the list has questions and answers')
    args = parser.parse_args(argv)
    records = questions_from(args.source) if args.questions else records_from(args.source)
    if args.video_root is not None:
        check_videos(records, args.video_root)
    count = write_records(records, args.out)
    subject = 'question' if args.questions else 'text'
    read_records(args.out, ('video', subject))
    videos = len({record['video'] for record in records})
    what = 'questions' if args.questions else 'captions'
    print(f"Wrote {count} {what} of {videos} videos to {args.out}. Use it as a config's ann_file.")


if __name__ == '__main__':
    sys.exit(run_tool(main))
