r"""Writes a trained model as a folder of Hugging Face: config.json and safetensors, in shards if large.

A model without a neck opens in transformers as Blip2ForImageTextRetrieval. Any comes back with
  python tools/model_converters/convert.py hf_blip2 OUT weights.safetensors --config CONFIG

Example:
  python tools/model_converters/export.py configs/moving_shapes/stgt_tiny.py \
      work_dirs/stgt_tiny/epoch_10.pth exported/stgt_tiny
"""

import argparse
import sys
from collections.abc import Sequence

from stgt_mm.engine.cli import add_config_options, described_parser, load_run_config, run_tool


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Reads the command line."""
    parser = described_parser(__doc__)
    add_config_options(parser)
    parser.add_argument('checkpoint', help='checkpoint of that config, .pth or .safetensors')
    parser.add_argument('out', metavar='OUT', help='folder to write')
    parser.add_argument('--shard-size', default='5GB', help='largest weight file, e.g. 200MB, default 5GB')
    parser.set_defaults(work_dir=None, launcher='none', local_rank=0)
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Loads the checkpoint strictly, writes the folder, and says who can read it."""
    args = parse_args(argv)
    cfg = load_run_config(args)

    from stgt_mm.converters.hf_folder import write_folder
    from stgt_mm.engine.checkpoint.files import read_checkpoint
    from stgt_mm.engine.checkpoint.weights import load_weights
    from stgt_mm.registry import MODELS

    model = MODELS.build(cfg.model)
    load_weights(model, read_checkpoint(args.checkpoint), args.checkpoint)
    reasons = write_folder(model, args.out, args.shard_size)
    print(f'Wrote {args.out}.')
    if reasons:
        print(f'transformers does not open it as Blip2ForImageTextRetrieval: {"; ".join(reasons)}.')
    print(
        'Back: python tools/model_converters/convert.py hf_blip2 '
        f'{args.out} weights.safetensors --config {args.config}'
    )


if __name__ == '__main__':
    sys.exit(run_tool(main))
