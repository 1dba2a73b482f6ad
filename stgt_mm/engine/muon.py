"""timm's Muon, quick on a CPU."""

from collections.abc import Callable
from typing import Any

import timm.optim.muon
import torch
from torch import Tensor

from stgt_mm.registry import OPTIMIZERS

_orthogonalize = timm.optim.muon.zeropower_via_newtonschulz


def _orthogonalize_by_device(update: Tensor, *args: Any, **options: Any) -> Tensor:
    if update.device.type == 'cpu':
        options.setdefault('dtype', torch.float32)
    return _orthogonalize(update, *args, **options)


@OPTIMIZERS.register_module()
class Muon(timm.optim.Muon):
    """timm's Muon that orthogonalises in float32 on a CPU; on a GPU in bfloat16 like timm's.

    Most CPUs have no instructions for bfloat16: there a product of matrices takes ten times as long in it.
    timm has no option for it.
    """

    def step(self, closure: Callable[[], Tensor] | None = None) -> Tensor | None:
        """Updates the parameters; returns what ``closure`` returns."""
        timm.optim.muon.zeropower_via_newtonschulz = _orthogonalize_by_device
        try:
            return super().step(closure)
        finally:
            timm.optim.muon.zeropower_via_newtonschulz = _orthogonalize
