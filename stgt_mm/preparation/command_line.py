"""Command lines of the tools that convert public data sets."""

import argparse
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import ModuleType
from typing import Any

from stgt_mm.engine.cli import described_parser
from stgt_mm.preparation.annotations.conversion import choose_splits, convert_list, write_splits
from stgt_mm.preparation.annotations.notes import Notes
from stgt_mm.preparation.annotations.video_files import VideoFiles


def split_converter(description: str | None, data_set: ModuleType) -> Callable[[Sequence[str] | None], None]:
    """Makes the tool of a data set that has an annotation file a split.

    Args:
        description: Docstring of the tool.
        data_set: Module with ``NEEDS`` (files of each split), ``SUFFIX`` of the videos, ``PUBLISHED`` (videos
            of each split in the literature) and ``read_splits(files of each split, video files, notes)``.

    Returns:
        The tool, called with its arguments: it prints what was written and met.
    """

    def main(argv: Sequence[str] | None = None) -> None:
        args = _split_parser(description, data_set).parse_args(argv)
        notes, files = Notes(), VideoFiles(args.video_root, args.suffix)
        chosen = choose_splits(args.source, data_set.NEEDS, args.splits, notes)
        splits = data_set.read_splits(chosen, files, notes)
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
    description: str | None,
    source: str,
    layouts: Mapping[str, str],
    fields: Iterable[str],
    root: str = '--video-root',
) -> argparse.ArgumentParser:
    """Makes the parser of a data set that people download by a list.

    Args:
        description: Docstring of the tool.
        source: What the list is.
        layouts: Where a file may lie, name and pattern, the default first.
        fields: What other patterns may be made of.
        root: Option for the folder of the files: ``--video-root`` or ``--image-root``.

    Returns:
        The parser: ``source``, ``out``, ``root``, ``layout`` and ``max_videos``.
    """
    kind = root.split('-')[2]
    named = ', '.join(f'{name} ({pattern})' for name, pattern in layouts.items())
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
        default=next(iter(layouts)),
        help=f'where a file lies: {named}, or a pattern of {", ".join(fields)}',
    )
    parser.add_argument('--max-videos', type=int, metavar='N', help=f'end after N {kind}s')
    return parser


def run_conversion(args: argparse.Namespace, read: Callable[[Notes], Iterator[dict[str, Any]]]) -> None:
    """Converts a list with the options of :func:`list_parser`, and prints what was left out and written."""
    print('\n'.join(convert_list(read, args.out, args.root, args.max_videos)))
