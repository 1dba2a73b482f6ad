"""Trains the tiny ViT that Moving Shapes is seen through, on single frames with a label for every patch.

A few CPU minutes. The weights ship with the package, so nobody has to run this. What a patch token is
taught: shape, colour, which object (tokens of one object point the same way, of two objects apart, so that
the similarity graph of STGT follows objects), where the object's centre is, and its size. What the CLS
token is taught: the colours and shapes in the frame and how much of it they cover, but no place, like the
CLS token of an image-text model.

Example:
    python benchmarks/pretrain_tiny_backbone.py stgt_mm/weights/tiny_vit.safetensors
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

import numpy as np
import torch
from labelled_frames import CELLS, GRID, IGNORE, LabelledFrames, draw_frames
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F

from stgt_mm.engine.cli import described_parser, run_tool
from stgt_mm.io.hashing import file_sha256
from stgt_mm.models.backbones.timm_vit import TimmViT
from stgt_mm.moving_shapes.meaning import COLOURS, SHAPES

MODEL = {
    'model_name': 'vit_tiny_patch16_224',
    'depth': 3,
    'img_size': 48,
    'patch_size': 8,
    'embed_dim': 96,
    'num_heads': 4,
}
MEAN = (122.7709383, 116.7460125, 104.09373615)
STD = (68.5005327, 66.6321579, 70.32316305)
FRAMES_A_SCENE = 2
SAME_OBJECT, OTHER_OBJECT = 0.85, -0.1
"""Cosines beyond these are not pushed further: inside an object there is room left for place and size."""
TOKEN_SCALE = 2.0
"""Root mean square that tokens are drawn to: the position embedding, of about 0.7, stays readable."""


class Heads(nn.Module):
    """Readouts for training only; each normalises the tokens, as the backbone has no final norm."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.patch_norm, self.cls_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.shape = nn.Linear(width, len(SHAPES) + 1)
        self.colour = nn.Linear(width, len(COLOURS) + 1)
        self.place = nn.Linear(width, 3)
        self.summary = nn.Linear(width, len(SHAPES) + len(COLOURS) + 1)
        self.outline = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, CELLS))

    def forward(self, tokens: Tensor, early: Tensor) -> dict[str, Tensor]:
        """Reads the tokens of frames.

        Args:
            tokens: Of the last block, shape (F, 1+N, C).
            early: Of the first block, shape (F, 1+N, C).

        Returns:
            shape (F, N, 6), colour (F, N, 7), place (F, N, 3), summary (F, 12), outline (F, N, 16).
        """
        patches = self.patch_norm(tokens[:, 1:])
        outputs = {name: getattr(self, name)(patches) for name in ('shape', 'colour', 'place')}
        outputs['outline'] = self.outline(early[:, 1:])
        return outputs | {'summary': self.summary(self.cls_norm(tokens[:, 0]))}


def run(backbone: TimmViT, heads: Heads, frames: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
    """Returns the tokens of frames (F, 3, H, W), shape (F, 1+N, C), and what the heads read from them."""
    early: list[Tensor] = []
    hook = backbone.vit.blocks[0].register_forward_hook(lambda _, __, output: early.append(output))
    tokens = backbone(frames[:, None])[:, 0]
    hook.remove()
    return tokens, heads(tokens, early[0])


def initialise(backbone: TimmViT) -> None:
    """Draws weights that suit a width of 96; timm's standard deviation of 0.02 keeps attention flat there."""
    for module in backbone.modules():
        if isinstance(module, nn.Linear):
            nn.init.xavier_uniform_(module.weight)
    nn.init.normal_(backbone.vit.pos_embed, std=0.3)


def draw_batch(rng: np.random.Generator, scenes: int) -> dict[str, Tensor]:
    """Draws ``scenes`` scenes of 2 frames: F = 2 * scenes frames, normalised, with their labels."""
    drawn = [draw_frames(rng, FRAMES_A_SCENE) for _ in range(scenes)]
    batch = {
        field.name: torch.from_numpy(np.concatenate([getattr(scene, field.name) for scene in drawn]))
        for field in fields(LabelledFrames)
    }
    frames = (batch['frames'].float() - torch.tensor(MEAN)) / torch.tensor(STD)
    batch['frames'] = frames.permute(0, 3, 1, 2).contiguous()
    return {name: value.float() if value.is_floating_point() else value for name, value in batch.items()}


def object_cosines(tokens: Tensor, owner: Tensor) -> tuple[Tensor, Tensor]:
    """Compares patch tokens of neighbouring frames of a scene, and of each frame with itself.

    Args:
        tokens: Patch tokens, shape (F, N, C).
        owner: Which object a patch shows, shape (F, N).

    Returns:
        Cosines of pairs that show the same object, and of pairs that show an object and something else;
        pairs of two background patches and ignored patches are left out.
    """
    unit = F.normalize(tokens, dim=-1).unflatten(0, (-1, FRAMES_A_SCENE))
    owner = owner.unflatten(0, (-1, FRAMES_A_SCENE))
    same, other = [], []
    for step in (0, 1):
        a, b = unit[:, : FRAMES_A_SCENE - step], unit[:, step:]
        left, right = owner[:, : FRAMES_A_SCENE - step, :, None], owner[:, step:, None, :]
        cosine = a @ b.transpose(-1, -2)
        known = (left != IGNORE) & (right != IGNORE) & ((left > 0) | (right > 0))
        same.append(cosine[known & (left == right)])
        other.append(cosine[known & (left != right)])
    return torch.cat(same), torch.cat(other)


def losses(tokens: Tensor, outputs: dict[str, Tensor], batch: dict[str, Tensor]) -> dict[str, Tensor]:
    """Returns the terms of the objective, each a 0-d tensor."""
    same, other = object_cosines(tokens[:, 1:], batch['owner'])
    is_object = batch['owner'] > 0
    place = torch.cat([batch['offset'], batch['radius'][..., None]], dim=-1)[is_object]
    summary = torch.cat([batch['shapes_present'], batch['colours_present']], dim=-1)
    area = outputs['summary'][:, -1] - 5.0 * batch['area']
    scale = tokens.square().mean(dim=-1).sqrt()
    shape = F.cross_entropy(outputs['shape'].flatten(0, 1), batch['shape'].flatten(), reduction='none')
    on_objects = shape[is_object.flatten()].mean()
    return {
        # Four in five patches are background: without more weight on objects their shape is learned late.
        # For the same reason the first block is asked for the outline inside each patch.
        'shape': on_objects + shape.mean(),
        'colour': F.cross_entropy(outputs['colour'].flatten(0, 1), batch['colour'].flatten()),
        'place': F.smooth_l1_loss(outputs['place'][is_object], place, beta=0.2),
        'same': 4.0 * F.relu(SAME_OBJECT - same).square().mean(),
        'other': 4.0 * F.relu(other - OTHER_OBJECT).square().mean(),
        'summary': F.binary_cross_entropy_with_logits(outputs['summary'][:, :-1], summary),
        'area': 0.3 * area.abs().mean(),
        'outline': F.binary_cross_entropy_with_logits(outputs['outline'], batch['coverage']),
        'scale': 0.1 * (scale - TOKEN_SCALE).square().mean(),
    }


@torch.no_grad()
def measure(backbone: TimmViT, heads: Heads, rng: np.random.Generator, scenes: int = 256) -> dict[str, float]:
    """Measures on frames never trained on; ``h`` is the similarity threshold 0.5."""
    batch = draw_batch(rng, scenes)
    tokens, outputs = run(backbone, heads, batch['frames'])
    is_object, known = batch['owner'] > 0, batch['owner'] != IGNORE
    same, other = object_cosines(tokens[:, 1:], batch['owner'])
    hits = {name: outputs[name].argmax(dim=-1) == batch[name] for name in ('shape', 'colour')}
    error = (outputs['place'][..., :2] - batch['offset'])[is_object].abs()
    present = torch.cat([batch['shapes_present'], batch['colours_present']], dim=-1)
    kept, wrong = (same >= 0.5).sum(), (other >= 0.5).sum()
    report = {
        'patch_shape': hits['shape'][known].float().mean(),
        'patch_shape_on_objects': hits['shape'][is_object].float().mean(),
        'patch_colour': hits['colour'][known].float().mean(),
        'patch_colour_on_objects': hits['colour'][is_object].float().mean(),
        'offset_error_pixels': error.mean() * 8,
        'cosine_same_object': same.mean(),
        'cosine_other': other.mean(),
        'same_object_links_kept_at_h': kept / len(same),
        'object_links_inside_object_at_h': kept / (kept + wrong),
        'cls_presence': ((outputs['summary'][:, :-1] > 0) == (present > 0.5)).float().mean(),
        'token_rms': tokens.square().mean().sqrt(),
    }
    return {name: round(float(value), 4) for name, value in report.items()}


def train(args: argparse.Namespace) -> tuple[TimmViT, dict[str, float]]:
    """Trains and returns the backbone and what it reached, measured after rounding to half precision."""
    torch.manual_seed(args.seed)
    backbone = TimmViT(**MODEL, frozen=False)
    initialise(backbone)
    heads = Heads(backbone.embed_dims)
    parameters = [*backbone.parameters(), *heads.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=args.lr, betas=(0.9, 0.98), weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, args.lr, args.steps, pct_start=0.1)
    rng, start = np.random.default_rng([args.seed, 1]), time.process_time()
    for step in range(1, args.steps + 1):
        batch = draw_batch(rng, args.scenes)
        tokens, outputs = run(backbone, heads, batch['frames'])
        terms = losses(tokens, outputs, batch)
        optimizer.zero_grad()
        sum(terms.values()).backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        schedule.step()
        if step % 100 == 0 or step == args.steps:
            shown = ' '.join(f'{name} {value.item():.3f}' for name, value in terms.items())
            print(f'step {step}/{args.steps} {time.process_time() - start:.0f} CPU s: {shown}', flush=True)
    seconds = time.process_time() - start
    for parameter in backbone.parameters():
        parameter.data = parameter.data.half().float()
    report = measure(backbone, heads, np.random.default_rng([args.seed, 2]))
    return backbone, report | {'cpu_seconds': round(seconds)}


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Reads the command line."""
    parser = described_parser(__doc__)
    parser.add_argument(
        'out', type=Path, help='the .safetensors file; a .json of the same name goes next to it'
    )
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--steps', type=int, default=2000)
    parser.add_argument('--scenes', type=int, default=32, help='scenes of 2 frames a step')
    parser.add_argument('--lr', type=float, default=2e-3)
    parser.add_argument('--threads', type=int, default=1)
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Trains, saves the weights in half precision, and writes down how they were made."""
    args = parse_args(argv)
    torch.set_num_threads(args.threads)
    backbone, report = train(args)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    state = {name: tensor.half().contiguous() for name, tensor in backbone.vit.state_dict().items()}
    save_file(state, args.out)
    facts = {
        'command': f'python benchmarks/pretrain_tiny_backbone.py {" ".join(sys.argv[1:])}',
        'seed': args.seed,
        'sha256': file_sha256(args.out),
        'bytes': os.path.getsize(args.out),
        'parameters': sum(tensor.numel() for tensor in state.values()),
        'torch': torch.__version__,
        'model': MODEL,
        'grid': [GRID, GRID],
        'mean': MEAN,
        'std': STD,
        'measured': report,
    }
    args.out.with_suffix('.json').write_text(json.dumps(facts, indent=1) + '\n', encoding='utf-8')
    print(json.dumps(report, indent=1))


if __name__ == '__main__':
    sys.exit(run_tool(main))
