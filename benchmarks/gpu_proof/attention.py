"""``banded`` and ``dense`` graph attention at growing lengths against float64: time, memory, error."""

from collections.abc import Callable, Iterator
from contextlib import nullcontext

import torch
from torch import Tensor

from gpu_proof.common import Setting, Table, autocast, peak_gib, relative_error, run_part, seconds
from stgt_mm.models.layers import SpatioTemporalGraphAttention

HEADER = ['frames', 'work', 'backend', 'type', 'ms', 'peak GiB', 'relative error', 'largest']
NOTE = (
    'Error: norm of the difference to `dense` in float64 on the same device over its norm, and the largest '
    'difference over the largest value; a link whose similarity lies at the threshold counts as an error '
    'too. A dash: did not fit.'
)


def caller(
    layer: SpatioTemporalGraphAttention, x: Tensor, frames: int, grad: Tensor | None
) -> Callable[[], Tensor]:
    """Makes a function that returns the output, or with ``grad`` the gradient of the tokens."""

    def forward() -> Tensor:
        with torch.inference_mode():
            return layer(x, frames)

    def both() -> Tensor:
        leaf = x.detach().requires_grad_()
        return torch.autograd.grad(layer(leaf, frames), leaf, grad.to(x.dtype))[0]

    return forward if grad is None else both


def measure_one(
    setting: Setting,
    frames: int,
    nodes: int,
    width: int,
    heads: int,
    batch: int = 1,
    backends: tuple[str, ...] = ('dense', 'banded'),
) -> list[list[object]]:
    """Measures the backends at one length, in float32 and in bfloat16."""
    torch.manual_seed(0)
    layers = {
        backend: SpatioTemporalGraphAttention(width, heads, attn_drop=0.0, backend=backend).to(setting.device)
        for backend in backends
    }
    for layer in layers.values():
        layer.load_state_dict(layers['dense'].state_dict())
    x = torch.randn(batch, frames * nodes, width, device=setting.device)
    x += torch.randn(1, 1, width, device=setting.device)
    grad = torch.randn_like(x)
    rows = []
    for work, own_grad in (('forward', None), ('forward + backward', grad)):
        try:
            expected = caller(layers['dense'].double(), x.double(), frames, own_grad)()
        except torch.OutOfMemoryError:
            expected = None
        layers['dense'].float()
        for backend, layer in layers.items():
            if backend == 'flex' and own_grad is not None and not setting.on_card:
                continue  # it has no gradient there
            for name, context in (('float32', nullcontext()), ('bfloat16', autocast(setting))):
                run = caller(layer, x, frames, own_grad)
                with context:
                    try:
                        found, memory, taken = run(), peak_gib(setting, run), seconds(setting, run)
                    except torch.OutOfMemoryError:
                        rows.append([frames, work, backend, name, None, None, None, None])
                        continue
                error = largest = None
                if expected is not None:
                    error = relative_error(found, expected)
                    largest = float((found.double() - expected).abs().max() / expected.abs().max())
                rows.append([frames, work, backend, name, 1e3 * taken, memory, error, largest])
    return rows


def measure(setting: Setting) -> Iterator[Table]:
    """Measures at 8, 16 and 32 frames of 256 tokens, or at the reduced size."""
    lengths, sizes = ((2, 4), (9, 32, 4)) if setting.reduced else ((8, 16, 32), (256, 1408, 16))
    for frames in lengths:
        title = f'One clip of {frames} frames, {sizes[0]} tokens a frame, width {sizes[1]}, {sizes[2]} heads'
        yield Table(title, HEADER, measure_one(setting, frames, *sizes), NOTE)


if __name__ == '__main__':
    run_part(measure)
