"""Draws what the model is fed: frames after all transforms, the texts below.

Example:
  python tools/visualization/browse_dataset.py configs/retrieval/custom_tiny.py --split train --out sheet.png
"""

import argparse
import os
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
from mmengine.config import Config

from stgt_mm.config import load_config, parse_overrides
from stgt_mm.datasets import ClipDataset, EpochIndex
from stgt_mm.engine.cli import add_config_options, described_parser, run_tool
from stgt_mm.registry import DATASETS
from stgt_mm.visualization.contact_sheet import contact_sheet


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Reads the command line."""
    parser = described_parser(__doc__)
    add_config_options(parser)
    parser.add_argument(
        '--split', choices=('train', 'val', 'test'), default='train', help='which data loader'
    )
    parser.add_argument('--num', type=int, default=8, help='number of clips')
    parser.add_argument('--epoch', type=int, default=0, help='epoch whose random draws are shown')
    parser.add_argument(
        '--shuffle', action='store_true', help='clips from all over, instead of the first ones'
    )
    parser.add_argument('--out', default='contact_sheet.png', help='picture to write')
    return parser.parse_args(argv)


def build(cfg: Config, split: str) -> ClipDataset:
    """Builds the data set of ``<split>_dataloader``."""
    loader = cfg.get(f'{split}_dataloader')
    if loader is None:
        raise ValueError(f'the config has no {split}_dataloader. Choose another --split.')
    if isinstance(loader, (list, tuple)):
        loader = loader[0]
    return DATASETS.build(loader['dataset'])


def texts_of(dataset: ClipDataset, sample: Any, index: int) -> str:
    """Writes the lines below a clip: index, id and frames, then the captions."""
    frames = ', '.join(map(str, sample.frame_indices))
    head = f'[{index}] {sample.video_id}, frames {frames} of {sample.num_frames}'
    if 'text' in sample:
        return f'{head}\n{sample.text}'
    relation = zip(dataset.texts, dataset.text_to_videos, strict=True)
    captions = [text for text, videos in relation if index in videos]
    more = f' (+ {len(captions) - 3} more)' if len(captions) > 3 else ''
    return '\n'.join([head, *captions[:3]]) + more


def main(argv: Sequence[str] | None = None) -> None:
    """Builds the data set and draws the sheet."""
    args = parse_args(argv)
    if args.num < 1:
        raise ValueError(f'--num {args.num}: at least one clip.')
    sys.path.insert(0, os.getcwd())  # a module of the user's own is imported from where the tool is started
    cfg = load_config(args.config, parse_overrides(args.cfg_options))
    dataset = build(cfg, args.split)
    order = np.arange(len(dataset))
    if args.shuffle:
        order = np.random.default_rng(args.epoch).permutation(order)
    seed = (cfg.get('randomness') or {}).get('seed') or 0
    clips, texts = [], []
    for index in order[: args.num].tolist():
        sample = dataset[EpochIndex(index, args.epoch, seed)]
        clips.append(sample['inputs'])
        texts.append(texts_of(dataset, sample['data_samples'], index))
    path = contact_sheet(clips, texts, args.out)
    print(f'{len(clips)} of {len(dataset)} {args.split} clips: {path}')


if __name__ == '__main__':
    sys.exit(run_tool(main))
