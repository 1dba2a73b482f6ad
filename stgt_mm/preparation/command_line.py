"""Command lines of the tools that convert public data sets, and of work on their files."""

import argparse
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from stgt_mm.engine.cli import EXIT_INTERRUPTED, described_parser
from stgt_mm.preparation.annotations.actions import write_actions
from stgt_mm.preparation.annotations.conversion import choose_splits, convert_list, write_splits
from stgt_mm.preparation.annotations.notes import Notes
from stgt_mm.preparation.annotations.questions import write_answers
from stgt_mm.preparation.annotations.video_files import VideoFiles


def split_converter(
    description: str | None, data_set: ModuleType, subject: str = 'text'
) -> Callable[[Sequence[str] | None], None]:
    """Makes the ``main`` of the tool of a data set that has an annotation file a split.

    ``data_set`` is a module with ``NEEDS`` (files of each split), ``SUFFIX`` of the videos, ``PUBLISHED``
    (videos, or questions, of each split in the literature) and ``read_splits(files of each split, video
    files, notes)``. ``subject`` is what a line has: a ``'text'``; a ``'question'``, whose training answers
    can be written as a vocabulary; or an ``'action'``, of which all names are written.
    """

    def main(argv: Sequence[str] | None = None) -> None:
        parser = described_parser(description)
        parser.add_argument('source', help='folder of the annotation files as they were fetched')
        parser.add_argument('out', help='folder for <split>.jsonl')
        names = tuple(data_set.NEEDS)
        splits_help = f'of {", ".join(names)}; default: all that the files allow'
        parser.add_argument('--splits', nargs='+', choices=names, metavar='SPLIT', help=splits_help)
        where = parser.add_mutually_exclusive_group()
        root_help = 'folder of the videos: finds their real names and what is missing'
        where.add_argument('--video-root', help=root_help)
        suffix_help = 'extension where videos are not looked for: %(default)s'
        where.add_argument('--suffix', default=data_set.SUFFIX, help=suffix_help)
        if subject == 'question':
            answers_help = 'write the N most frequent training answers to answers.txt: 1000, 1500, 2423'
            parser.add_argument('--answers', type=int, metavar='N', help=answers_help)
        args = parser.parse_args(argv)
        notes, files = Notes(), VideoFiles(args.video_root, args.suffix)
        chosen = choose_splits(args.source, data_set.NEEDS, args.splits, notes)
        size = getattr(args, 'answers', None)
        if size is not None and (size < 1 or 'train' not in chosen):
            raise ValueError(
                f'--answers {size}: at least 1, and with the split train, whose answers they are.'
            )
        splits = data_set.read_splits(chosen, files, notes)
        lines = write_splits(splits, args.out, files, notes, data_set.PUBLISHED, subject)
        if subject == 'action':
            lines += write_actions(splits.values(), args.out)
        if size is not None:
            own = {'train': splits['train'], **splits}
            lines += write_answers(own, Path(args.out) / 'answers.txt', size)
        print('\n'.join(lines))

    return main


def list_parser(
    description: str | None,
    source: str,
    layouts: Mapping[str, str],
    fields: Iterable[str],
    root: str = '--video-root',
) -> argparse.ArgumentParser:
    """Makes the parser of a data set that people download by a list: ``source``.

    ``layouts`` are names and patterns of where a file may lie, the default first; ``fields`` is what other
    patterns may be made of; ``root`` is the option ``--video-root`` or ``--image-root``.
    """
    kind = root.split('-')[2]
    named = ', '.join(f'{name} ({pattern})' for name, pattern in layouts.items())
    parser = described_parser(description)
    parser.add_argument('source', help=source)
    parser.add_argument('out', help='annotation file to write (.jsonl)')
    root_help = f'folder of the {kind}s: lines whose file is not below it are left out and counted'
    parser.add_argument(root, dest='root', help=root_help)
    layout_help = f'where a file lies: {named}, or a pattern of {", ".join(fields)}'
    parser.add_argument('--layout', default=next(iter(layouts)), help=layout_help)
    parser.add_argument('--max-videos', type=int, metavar='N', help=f'end after N {kind}s')
    return parser


def run_conversion(args: argparse.Namespace, read: Callable[[Notes], Iterator[dict[str, Any]]]) -> None:
    """Converts a list with the options of :func:`list_parser`, and prints what was left out and written."""
    print('\n'.join(convert_list(read, args.out, args.root, args.max_videos)))


@contextmanager
def resumable() -> Iterator[None]:
    """Says after Ctrl-C that the command can go on, and ends the process as shells expect."""
    try:
        yield
    except KeyboardInterrupt:
        print('\ninterrupted; the same command goes on where it was', file=sys.stderr)
        raise SystemExit(EXIT_INTERRUPTED) from None
