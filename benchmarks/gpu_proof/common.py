"""Common parts: the device, the models at either size, clips, times, memory, tables."""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.benchmark import Timer

from stgt_mm.config import load_config
from stgt_mm.datasets import video_text_collate
from stgt_mm.engine.optim import AutocastOptimWrapper, TrainableParamsConstructor
from stgt_mm.models.tokenizer import SPECIAL_TOKENS
from stgt_mm.random_weights import without_weights
from stgt_mm.registry import MODELS
from stgt_mm.structures import VideoTextSample

ROOT = Path(__file__).resolve().parents[2]
FULL, TINY = 'configs/retrieval/msrvtt_zeroshot.py', 'configs/moving_shapes/stgt_tiny.py'
# Dense bfloat16 with tensor cores, FLOP/s, from the data sheets (a multiplication and an addition are two).
BF16_PEAKS = {'H100 PCIe': 756e12, 'H100': 989e12, 'H200': 989e12, 'A100': 312e12}


class Table(NamedTuple):
    """A table of the page: its title, the heads of its columns, its rows, and a line below."""

    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[Any]]
    note: str = ''


class Setting(NamedTuple):
    """Where a part runs, at which size, and a folder for its files."""

    device: torch.device
    reduced: bool
    folder: Path

    @property
    def on_card(self) -> bool:
        """Whether the device is a GPU."""
        return self.device.type == 'cuda'


def run_part(measure: Callable[[Setting], Iterable[Table]]) -> None:
    """Runs a part from the command line; its JSON file has each table as soon as it is there."""
    parser = argparse.ArgumentParser()
    parser.add_argument('out', type=Path)
    parser.add_argument('--reduced', action='store_true')
    args = parser.parse_args()
    device = torch.device('cuda' if torch.cuda.is_available() else 'cpu')
    tables = []
    with tempfile.TemporaryDirectory() as folder:
        for table in measure(Setting(device, args.reduced, Path(folder))):
            tables.append(table._asdict())
            args.out.write_text(json.dumps({'tables': tables}, indent=2) + '\n')


def device_name(device: torch.device) -> str:
    """Names the card, or the CPU."""
    return torch.cuda.get_device_name(device) if device.type == 'cuda' else 'CPU'


def bf16_peak(device: torch.device) -> float | None:
    """Returns the card's peak in FLOP/s; None for one that is not in the list."""
    name = device_name(device)
    return next((peak for key, peak in BF16_PEAKS.items() if all(word in name for word in key.split())), None)


def load(setting: Setting, options: dict[str, Any] | None = None) -> Any:
    """Loads the config of the part's size, with a vocabulary that is made here."""
    vocab = setting.folder / 'vocab.txt'
    words = ['pattern', 'number', 'moves', 'to', 'the', 'right', 'up', *map(str, range(2000))]
    vocab.write_text('\n'.join([*SPECIAL_TOKENS, *words]) + '\n')
    given = {'model.data_preprocessor.tokenizer.vocab': str(vocab), **(options or {})}
    return load_config(ROOT / (TINY if setting.reduced else FULL), given)


def build_model(setting: Setting, cfg: Any) -> nn.Module:
    """Builds the model of a config with seeded random weights on the device."""
    torch.manual_seed(0)
    with setting.device:
        return MODELS.build(without_weights(cfg.model.to_dict())).to(setting.device)


def build_wrapper(model: nn.Module) -> Any:
    """Builds AdamW in bfloat16 over what is trained, as the paper's schedules have it."""
    options = {
        'type': AutocastOptimWrapper,
        'dtype': 'bfloat16',
        'optimizer': {'type': 'AdamW', 'lr': 1e-5},
    }
    return TrainableParamsConstructor(options)(model)


def make_batch(model: nn.Module, size: int, frames: int = 8) -> dict[str, Any]:
    """Draws a batch of clips, each with a caption of its own that fills the text's positions."""
    side = model.backbone.img_size
    clips = torch.randint(0, 256, (size, frames, 3, *side), dtype=torch.uint8)
    texts = [f'pattern number {index} moves to the right ' * 6 for index in range(size)]
    return video_text_collate(
        [
            {'inputs': clip, 'data_samples': VideoTextSample(metainfo={'video_id': str(index), 'text': text})}
            for index, (clip, text) in enumerate(zip(clips, texts))
        ]
    )


def autocast(setting: Setting) -> torch.autocast:
    """Mixed precision in bfloat16 on the part's device."""
    return torch.autocast(setting.device.type, dtype=torch.bfloat16)


def seconds(setting: Setting, function: Callable[[], Any]) -> float:
    """Returns the median time of a call, for which the timer waits on a card; at reduced size that of one."""
    if setting.reduced:
        start = time.perf_counter()
        function()
        return time.perf_counter() - start
    function()
    timer = Timer('function()', globals={'function': function}, num_threads=torch.get_num_threads())
    return timer.blocked_autorange(min_run_time=2.0).median


def peak_gib(setting: Setting, function: Callable[[], Any]) -> float | None:
    """Returns the most memory of tensors while a function runs, in GiB; None on a CPU."""
    if not setting.on_card:
        function()
        return None
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats(setting.device)
    function()
    return torch.cuda.max_memory_allocated(setting.device) / 2**30


def relative_error(found: Tensor, expected: Tensor) -> float:
    """Returns the norm of the difference over the norm of what is expected."""
    return float((found.double() - expected.double()).norm() / expected.double().norm())


def make_moving_shapes(setting: Setting, clips: int) -> Path:
    """Renders a small Moving Shapes into the part's folder."""
    root = setting.folder / 'moving_shapes'
    sizes = ['--train', str(clips), '--val', '12', '--test', '20', '--one-fact', '26']
    jobs = ['--jobs', '1' if setting.reduced else str(min(8, os.cpu_count() or 1))]
    tool = ROOT / 'tools/dataset_converters/moving_shapes.py'
    subprocess.run([sys.executable, str(tool), str(root), *sizes, *jobs], check=True)
    return root
