"""Parameters and FLOPs of a model by part, counted on the meta device with fvcore."""

import math
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

with warnings.catch_warnings():  # fvcore scripts a loss of its own with what torch deprecates
    warnings.simplefilter('ignore', FutureWarning)
    from fvcore.nn import FlopCountAnalysis

# What is left out of the count: reading, moving and shaping, then a few operations an element.
MOVES = {
    'cat', 'diagonal', 'embedding', 'expand', 'expand_as', 'eye', 'flatten', 'fill_', 'index', 'masked_fill',
    'masked_fill_', 'movedim', 'new_ones', 'numel', 'ones_like', 'permute', 'repeat', 'repeat_interleave',
    'sort', 'stack', 'to', 'tril', 'unflatten', 'upsample_linear1d',
}  # fmt: skip
POINTWISE = {
    'abs', 'add', 'add_', 'addcmul', 'amax', 'bitwise_and', '__and__', '__or__', 'bitwise_not', 'clamp_min',
    'count_nonzero', 'div', 'ge', 'gelu', 'le', 'linalg_vector_norm', 'mean', 'mul', 'mul_', 'neg', 'relu',
    'sigmoid', 'silu', 'softmax', 'sub', 'sum', 'tanh',
}  # fmt: skip


@dataclass
class Sizes:
    """What the cost depends on beside the model.

    Attributes:
        frames: Frames of a clip, T.
        image: Side of the frames in pixels, (height, width).
        text_tokens: Tokens of a caption, L.
        candidates: Captions that are matched with a video, k.
    """

    frames: int
    image: tuple[int, int]
    text_tokens: int
    candidates: int


@dataclass
class PartCost:
    """The work of one part.

    Attributes:
        name: What is done.
        flops: fvcore's count, in which a multiplication with its addition is one.
        by_operator: The same by operator.
        uncounted: Calls of operators that are not in ``flops``.
    """

    name: str
    flops: int
    by_operator: dict[str, int] = field(default_factory=dict)
    uncounted: Counter[str] = field(default_factory=Counter)

    @property
    def unknown(self) -> dict[str, int]:
        """Calls of uncounted operators that nobody has looked at: their work may not be small."""
        known = MOVES | POINTWISE
        return {op: n for op, n in self.uncounted.items() if op.removeprefix('aten::') not in known}


class _Step(nn.Module):
    """A function of a model as a module: fvcore counts modules."""

    def __init__(self, model: nn.Module, function: Callable[..., Tensor]) -> None:
        super().__init__()
        self.model = model
        self.function = function

    def forward(self, *inputs: Tensor) -> Tensor:
        """Calls the function."""
        return self.function(*inputs)


def _sizes(values: list[Any], count: int) -> list[list[int]]:
    return [value.type().sizes() for value in values[:count]]


def _attention_flops(inputs: list[Any], _: list[Any]) -> int:
    """Queries [..., R, d] with keys [..., S, d], then their weights with values [..., S, e]."""
    query, key, value = _sizes(inputs, 3)
    return math.prod(query[:-1]) * key[-2] * (query[-1] + value[-1])


def _bmm_flops(inputs: list[Any], _: list[Any]) -> int:
    """[B, R, d] with [B, d, S]; fvcore's own stumbles over ``out=``."""
    first, second = _sizes(inputs, 2)
    return math.prod(first) * second[-1]


HANDLES = {
    'aten::scaled_dot_product_attention': _attention_flops,
    'aten::bmm': _bmm_flops,
}


def _convolve(conv: nn.Module, x: Tensor) -> Tensor:
    """Has the shape and the count of a convolution, as a matrix product over its windows.

    PyTorch's meta convolution cannot be traced; the values of meta tensors do not matter.
    """
    settings = zip(x.shape[2:], conv.padding, conv.dilation, conv.kernel_size, conv.stride)
    places = [(int(n) + 2 * pad - step * (kernel - 1) - 1) // by + 1 for n, pad, step, kernel, by in settings]
    batch = int(x.shape[0])
    windows = x.new_empty(batch * math.prod(places), conv.weight[0].numel())
    return F.linear(windows, conv.weight.flatten(1)).view(batch, *places, -1).movedim(-1, 1)


def _countable(model: nn.Module) -> nn.Module:
    for module in model.modules():
        if isinstance(module, (nn.Conv1d, nn.Conv2d, nn.Conv3d)):
            if isinstance(module.padding, str):
                raise ValueError(f"a convolution with padding='{module.padding}' cannot be counted here.")
            module.forward = partial(_convolve, module)
    return model


def count_step(name: str, model: nn.Module, function: Callable[..., Tensor], *inputs: Tensor) -> PartCost:
    """Counts what a function of a model does.

    Args:
        name: Name of the result.
        model: The model, on the meta device.
        function: Gets the inputs and returns a tensor; it may call anything of the model.
        *inputs: Meta tensors.

    Returns:
        The cost. Nothing is left out silently: see ``uncounted``.
    """
    analysis = FlopCountAnalysis(_Step(model, function), inputs)
    analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False).tracer_warnings('none')
    analysis.set_op_handle(**HANDLES)
    total = int(analysis.total())
    by_operator = {str(op): int(count) for op, count in analysis.by_operator().items()}
    return PartCost(name, total, by_operator, Counter(analysis.unsupported_ops()))


def count_flops(model: nn.Module, sizes: Sizes) -> list[PartCost]:
    """Counts the way from a clip and captions to scores, part by part.

    Args:
        model: A ``VideoTextAligner`` on the meta device, in eval mode; its convolutions are replaced by their
            count.
        sizes: Sizes of the inputs.

    Returns:
        For one video: ``backbone``, ``neck``, ``vision_norm``, ``Q-Former: keys and values``,
        ``Q-Former: queries`` (with projection). For one caption: ``caption``. For k candidates of a video,
        keys and values given: ``re-rank``.
    """
    model = _countable(model)
    parts: list[PartCost] = []
    former = model.qformer

    def step(name: str, function: Callable[..., Tensor], *inputs: Tensor) -> Tensor:
        parts.append(count_step(name, model, function, *inputs))
        return function(*inputs)

    with torch.no_grad():
        video = torch.empty(1, sizes.frames, 3, *sizes.image, device='meta')
        tokens = step('backbone', model.backbone, video)
        tokens = tokens.flatten(1, 2) if model.neck is None else step('neck', model.neck, tokens)
        tokens = step('vision_norm', model.vision_norm, tokens)
        given = former.project_video(tokens)
        # tracing drops what no result depends on, so all of them are the result
        step('Q-Former: keys and values', lambda x: torch.stack(sum(former.project_video(x), ())), tokens)
        project = model.contrastive_head.project_queries
        step('Q-Former: queries', lambda _: project(former.encode_video(given)[0]), tokens)
        ids = torch.zeros(1, sizes.text_tokens, dtype=torch.long, device='meta')
        step('caption', lambda x: model.encode_text(x, torch.ones_like(x, dtype=torch.bool)), ids)
    if model.matching_head is not None and sizes.candidates:
        texts = ids[:, None].expand(-1, sizes.candidates, -1)

        def match(x: Tensor) -> Tensor:
            return model.matching_head(former.fuse(given, x, torch.ones_like(x, dtype=torch.bool)))

        # with gradients every position is computed, as for captions without padding
        with torch.enable_grad():
            parts.append(count_step('re-rank', model, match, texts))
    return parts


def sizes_of(
    cfg: Any,
    model: nn.Module,
    frames: int | None = None,
    text_tokens: int | None = None,
    candidates: int | None = None,
) -> Sizes:
    """Finds the sizes of the inputs in a config.

    Args:
        cfg: The config.
        model: Its model.
        frames: Frames of a clip; None: those that the test (or training) pipeline loads.
        text_tokens: Tokens of a caption; None: the tokenizer's limit.
        candidates: Captions that are matched with a video; None: ``rerank_k`` of the test, 0 without one.

    Returns:
        The sizes.

    Raises:
        ValueError: If a number is missing in the config too, or is not positive.
    """
    given = {
        'frames': _frames(cfg) if frames is None else frames,
        'text_tokens': _text_tokens(cfg) if text_tokens is None else text_tokens,
        'candidates': (cfg.get('test_cfg') or {}).get('rerank_k', 0) if candidates is None else candidates,
    }
    for name, value in given.items():
        if value is None or value < (name != 'candidates'):
            option = f'--{name.replace("_", "-")}'
            raise ValueError(f'{name} is {value}: give a positive number as {option}, the config has none.')
    return Sizes(image=model.backbone.img_size, **given)


def _frames(cfg: Any) -> int | None:
    for loader in ('test_dataloader', 'train_dataloader', 'val_dataloader'):
        for step in ((cfg.get(loader) or {}).get('dataset') or {}).get('pipeline') or []:
            if str(step['type']).endswith('LoadVideo'):
                return step.get('num_frames', 8)
    return None


def _text_tokens(cfg: Any) -> int | None:
    return cfg.model.data_preprocessor.tokenizer.get('max_length')


def count_parameters(model: nn.Module) -> dict[str, tuple[int, int]]:
    """Counts parameters by part.

    Args:
        model: The model, on any device.

    Returns:
        Name of the child, and ``'total'`` -> all and learnable parameters. A child without any is left out.
    """
    counts = {name: _parameters(child) for name, child in model.named_children()}
    return {**{name: count for name, count in counts.items() if count[0]}, 'total': _parameters(model)}


def _parameters(module: nn.Module) -> tuple[int, int]:
    sizes = [(parameter.numel(), parameter.requires_grad) for parameter in module.parameters()]
    return sum(size for size, _ in sizes), sum(size for size, learnable in sizes if learnable)
