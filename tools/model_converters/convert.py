r"""Makes published weights ready for this toolbox.

SOURCE says what IN is:
{sources}

IN is a file (.safetensors, .pth, .bin) or a folder of Hugging Face, in shards or not. OUT is a .safetensors
file; a .report.txt beside it accounts for every key. The result is compared with the model of a config; if it
does not fit, what is wrong is listed and nothing is written.

Example:
  python tools/model_converters/convert.py eva eva_vit_g.pth weights/eva_vit_g.safetensors
  python tools/model_converters/convert.py lavis_blip2 blip2_pretrained.pth \
      weights/blip2_qformer.safetensors --part no_backbone
"""

import argparse
import sys
from collections.abc import Sequence

from stgt_mm.converters.conversion import convert_file, report_path
from stgt_mm.converters.report import MAX_UNKNOWN, report_lines
from stgt_mm.converters.sources import PARTS, SOURCES
from stgt_mm.engine.cli import described_parser, run_tool


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Reads the command line."""
    sources = '\n'.join(f'  {name:14s} {source.about}' for name, source in SOURCES.items())
    parser = described_parser(__doc__.replace('{sources}', sources))
    parser.add_argument('source', metavar='SOURCE', help=f'one of {", ".join(SOURCES)}')
    parser.add_argument('path', metavar='IN', help='weights: a file or a folder')
    parser.add_argument('out', metavar='OUT', help='.safetensors file to write')
    parser.add_argument(
        '--config', help='config of the model to compare with, default configs/_base_/models/stgt_vitg.py'
    )
    parser.add_argument(
        '--part', choices=PARTS, help='what to write: all, the backbone for backbone.checkpoint, or the rest'
    )
    parser.add_argument('--img-size', type=int, help='side of the frames: resizes the position embedding')
    parser.add_argument(
        '--max-unknown',
        type=int,
        default=MAX_UNKNOWN,
        help=f'most keys of IN that may be unknown, default {MAX_UNKNOWN}',
    )
    parser.add_argument('--force', action='store_true', help='write OUT even if it does not fit the model')
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Converts and says what became of the keys."""
    args = parse_args(argv)
    report = convert_file(
        args.source,
        args.path,
        args.out,
        config=args.config,
        part=args.part,
        img_size=args.img_size,
        max_unknown=args.max_unknown,
        force=args.force,
    )
    print('\n'.join(report_lines(report)))
    print(f'Wrote {args.out}; every key is listed in {report_path(args.out)}.')


if __name__ == '__main__':
    sys.exit(run_tool(main))
