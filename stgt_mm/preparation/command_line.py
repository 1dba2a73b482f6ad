"""The command lines of the tools that convert public data sets."""

import argparse
from collections.abc import Callable, Iterator, Sequence
from types import ModuleType
from typing import Any

from stgt_mm.engine.cli import described_parser
from stgt_mm.preparation.annotations.common import Notes
from stgt_mm.preparation.annotations.downloaded import convert
from stgt_mm.preparation.annotations.splits import write_splits
from stgt_mm.preparation.annotations.video_files import VideoFiles


def split_converter(description: str | None, data_set: ModuleType) -> Callable[[Sequence[str] | None], None]:
    """Makes the tool of a data set that has a file a split.

    Args:
        description: Docstring of the tool.
        data_set: Module with ``NEEDS`` (files of each split), ``SUFFIX`` of the videos, ``PUBLISHED`` (videos
            of each split in the literature) and ``read_splits(source, splits, files, notes)``.

    Returns:
        The tool, called with its arguments: it prints what was written and met.
    """

    def main(argv: Sequence[str] | None = None) -> None:
        args = _split_parser(description, data_set).parse_args(argv)
        notes, files = Notes(), VideoFiles(args.video_root, args.suffix)
        splits = data_set.read_splits(args.source, args.splits, files, notes)
        print('\n'.join(write_splits(splits, args.out, files, notes, data_set.PUBLISHED)))

    return main


def _split_parser(description: str | None, data_set: ModuleType) -> argparse.ArgumentParser:
    parser = described_parser(description)
    parser.add_argument('source', help='folder of the annotation files as they were fetched')
    parser.add_argument('out', help='folder for <split>.jsonl')
    parser.add_argument(
        '--splits',
        nargs='+',
        choices=tuple(data_set.NEEDS),
        metavar='SPLIT',
        help=f'of {", ".join(data_set.NEEDS)}; default: all that the files allow',
    )
    where = parser.add_mutually_exclusive_group()
    where.add_argument(
        '--video-root', help='folder of the videos: finds their real names and what is missing'
    )
    where.add_argument(
        '--suffix', default=data_set.SUFFIX, help='extension where videos are not looked for: %(default)s'
    )
    return parser


def list_parser(
    description: str | None, source: str, layouts: Sequence[str], root: str = '--video-root'
) -> argparse.ArgumentParser:
    """Makes the parser of a data set that people download by a list.

    Args:
        description: Docstring of the tool.
        source: What the list is.
        layouts: Where a file may lie, the default first: ``'name (an example)'`` each; the last is what a
            pattern is made of.
        root: Option for the folder of the files: ``--video-root`` or ``--image-root``.

    Returns:
        The parser: ``source``, ``out``, ``root``, ``layout`` and ``max_videos``.
    """
    kind = root.split('-')[2]
    parser = described_parser(description)
    parser.add_argument('source', help=source)
    parser.add_argument('out', help='annotation file to write (.jsonl)')
    parser.add_argument(
        root,
        dest='root',
        help=f'folder of the {kind}s: lines whose file is not below it are left out and counted',
    )
    parser.add_argument(
        '--layout',
        default=layouts[0].split()[0],
        help=f'where a file lies: {", ".join(layouts[:-1])}, or a pattern of {layouts[-1]}',
    )
    parser.add_argument('--max-videos', type=int, metavar='N', help=f'end after N {kind}s')
    return parser


def convert_list(args: argparse.Namespace, read: Callable[[Notes], Iterator[dict[str, Any]]]) -> None:
    """Converts a list and prints what was left out.

    Args:
        args: Options of :func:`list_parser`.
        read: Gives the records; counts in the notes what its user should know.
    """
    print('\n'.join(convert(read, args.out, args.root, args.max_videos)))
