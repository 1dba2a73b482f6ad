"""Counts the parameters and FLOPs of a config by part, without allocating the model.

The model is built on the meta device: weight files need not be there, and 1.2 billion parameters take no
memory. FLOPs are fvcore's, in which a multiplication with its addition is one. What is not counted is listed.

Example:
    python tools/analysis_tools/get_flops.py configs/retrieval/msrvtt_zeroshot.py
"""

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from typing import Any

from stgt_mm.engine.cli import add_config_options, described_parser, run_tool

# STGT, Table 6, in millions
PAPER = {'STGT': ('neck 59.5M', 'learnable 246.2M'), 'CrossFrameNeck': ('neck 60.4M',)}


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Reads the command line."""
    parser = described_parser(__doc__)
    add_config_options(parser)
    parser.add_argument('--frames', type=int, help='frames of a clip, by default those of the config')
    parser.add_argument(
        '--text-tokens', type=int, help="tokens of a caption, by default the tokenizer's limit"
    )
    parser.add_argument('--candidates', type=int, help='captions matched with a video, by default rerank_k')
    return parser.parse_args(argv)


def show_parameters(model: Any) -> None:
    """Prints parameters by part, and the paper's at its size."""
    from stgt_mm.analysis.flops import count_parameters

    print(f'{"parameters":28}{"all":>12}{"learnable":>12}')
    for name, (total, learnable) in count_parameters(model).items():
        print(f'{name:28}{total / 1e6:11.2f}M{learnable / 1e6:11.2f}M')
    neck = type(model.neck).__name__
    if neck in PAPER and model.backbone.embed_dims == 1408 and not hasattr(model, 'answer'):
        print(f'paper, Table 6{" (baseline)" if neck == "CrossFrameNeck" else ""}: {", ".join(PAPER[neck])}')


def show_flops(parts: list[Any], sizes: Any) -> None:
    """Prints FLOPs by part, and what is not in them."""
    print(
        f'\nGFLOPs (fvcore: multiplication and addition are one), {sizes.frames} frames of '
        f'{sizes.image[0]}x{sizes.image[1]}, {sizes.text_tokens} tokens a text, '
        f'k = {sizes.candidates}'
    )
    encoding = 0
    units = {'caption': 'a caption', 're-rank': f'a video, {sizes.candidates} captions'}
    units['question'] = f'a question of {sizes.text_tokens} tokens'
    for part in parts:
        unit = units.get(part.name.partition(':')[0], 'a video')
        encoding += part.flops if unit == 'a video' else 0
        operators = ', '.join(f'{op} {count / 1e9:.2f}' for op, count in part.by_operator.items() if count)
        print(f'{part.name:28}{part.flops / 1e9:12.3f}  {unit:24}{operators}')
    print(f'{"encoding a video, in all":28}{encoding / 1e9:12.3f}')
    uncounted, unknown = Counter(), Counter()
    for part in parts:
        uncounted.update(part.uncounted)
        unknown.update(part.unknown)
    calls = ', '.join(f'{op.removeprefix("aten::")} {count}' for op, count in sorted(uncounted.items()))
    print(f'\nnot counted (moves, and a few operations an element), calls: {calls}')
    if unknown:
        print(f'NOT COUNTED AND UNKNOWN, the figures may be too small: {dict(unknown)}')


def main(argv: Sequence[str] | None = None) -> None:
    """Counts and prints."""
    args = parse_args(argv)
    from stgt_mm.analysis.flops import count_flops, sizes_of
    from stgt_mm.config import load_config, parse_overrides
    from stgt_mm.random_weights import build_on_meta

    cfg = load_config(args.config, parse_overrides(args.cfg_options))
    model = build_on_meta(cfg.model)
    show_parameters(model)
    sizes = sizes_of(cfg, model, args.frames, args.text_tokens, args.candidates)
    show_flops(count_flops(model, sizes), sizes)


if __name__ == '__main__':
    sys.exit(run_tool(main))
