"""Optimizer pieces: trainable parameters only, guarded updates, autocast on any device."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from mmengine.optim import DefaultOptimWrapperConstructor, OptimWrapper
from torch import Tensor, nn

from stgt_mm.engine.errors import NonFiniteLossError
from stgt_mm.registry import OPTIM_WRAPPER_CONSTRUCTORS, OPTIM_WRAPPERS
from stgt_mm.utils import did_you_mean

_PARAM_KEYS = ('lr_mult', 'decay_mult', 'options')
_DTYPES = {'bfloat16': torch.bfloat16, 'float16': torch.float16}


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class TrainableParamsConstructor(DefaultOptimWrapperConstructor):
    """Builds an optimizer over what is trained, without weight decay for vectors and scalars.

    Parameters with ``requires_grad=False`` stay out. Those with at most one dimension (biases, norms, the 0-d
    temperature) get no weight decay.

    Args:
        optim_wrapper_cfg: ``dict(type=..., optimizer=dict(type='AdamW', lr=..., weight_decay=...), ...)``.
        paramwise_cfg: ``dict(custom_keys={prefix: dict(lr_mult=..., decay_mult=..., options=...)})``; a
            prefix is a dotted module or parameter name (``'qformer'``, ``'neck.temporal'``), the longest that
            matches wins. ``options`` go into the optimizer's parameter group as they are
            (``use_fallback=True`` of timm's Muon, say).

    Raises:
        ValueError: If a key of ``paramwise_cfg`` is unknown.

    Note:
        Source: STGT (arXiv 2407.11677), section 4.1: AdamW, weight decay 0.05; none for vectors as in LAVIS.
    """

    def __init__(self, optim_wrapper_cfg: dict[str, Any], paramwise_cfg: dict[str, Any] | None = None):
        # with paramwise_cfg the base class asks add_params, which is all that differs from it
        paramwise_cfg = {'custom_keys': {}, **(paramwise_cfg or {})}
        for key in paramwise_cfg.keys() - {'custom_keys'}:
            raise ValueError(f"paramwise_cfg has no '{key}'. {did_you_mean(key, ['custom_keys'])}")
        for prefix, options in paramwise_cfg['custom_keys'].items():
            for key in set(options) - set(_PARAM_KEYS):
                raise ValueError(f"custom_keys['{prefix}']: {key}. {did_you_mean(key, _PARAM_KEYS)}")
        optimizer = {**optim_wrapper_cfg['optimizer'], '_scope_': 'mmengine'}
        wrapper = {'type': 'AutocastOptimWrapper', **optim_wrapper_cfg, 'optimizer': optimizer}
        super().__init__(wrapper, paramwise_cfg)

    def add_params(self, params: list[dict[str, Any]], module: nn.Module, *args: Any, **kwargs: Any) -> None:
        """Adds the trainable parameters to ``params``, in groups of one learning rate and weight decay.

        Ours, for the base class makes a group of each parameter, matches keys anywhere in a name, is silent
        about those that match none, and decays the 0-d temperature. Nothing trainable, or a prefix that
        matches nothing trainable, is a ValueError.
        """
        custom_keys = self.paramwise_cfg['custom_keys']
        groups: dict[tuple, dict[str, Any]] = {}
        names, used = [], set()
        for name, parameter in module.named_parameters():
            if not parameter.requires_grad:
                continue
            names.append(name)
            matching = [key for key in custom_keys if name == key or name.startswith(f'{key}.')]
            prefix = max(matching, key=len, default='')
            used.add(prefix)
            options = custom_keys.get(prefix, {})
            lr = float(self.optimizer_cfg['lr']) * options.get('lr_mult', 1.0)
            decay = (
                0.0 if parameter.ndim <= 1 else float(self.base_wd or 0.0) * options.get('decay_mult', 1.0)
            )
            own = dict(options.get('options', {}))
            key = (lr, decay, *sorted(own.items()))
            group = groups.setdefault(key, {'params': [], 'lr': lr, 'weight_decay': decay, **own})
            group['params'].append(parameter)
        if not groups:
            raise ValueError(
                f'{type(module).__name__} has no trainable parameter: everything in it is frozen.'
            )
        for prefix in sorted(custom_keys.keys() - used):
            known = {'.'.join(name.split('.')[: prefix.count('.') + 1]) for name in names}
            raise ValueError(
                f"custom_keys: '{prefix}' matches no trainable parameter. {did_you_mean(prefix, known)}"
            )
        params += groups.values()


@OPTIM_WRAPPERS.register_module()
class AutocastOptimWrapper(OptimWrapper):
    """Updates parameters, in mixed precision if asked, and never from a loss that is not a number.

    The loss and the norm of the gradient are looked at between backward and the update, where the GPU has
    work queued already. With ``float16`` an overflow of the scaled gradient skips the step, as usual.

    Args:
        optimizer: The optimizer.
        dtype: ``None`` for full precision, ``'bfloat16'`` (CPU and GPU) or ``'float16'`` (GPU only).
        accumulative_counts: Batches whose gradients make one update.
        clip_grad: ``dict(max_norm=..., norm_type=2)``; ``None`` measures the norm and clips nothing.

    Raises:
        ValueError: If the type is unknown or does not work on this machine, or a limit is not positive.
    """

    def __init__(
        self,
        optimizer: torch.optim.Optimizer,
        dtype: str | None = None,
        accumulative_counts: int = 1,
        clip_grad: dict[str, Any] | None = None,
    ):
        for key in {'max_norm', 'clip_value'} & set(clip_grad or {}):
            if not clip_grad[key] > 0:
                raise ValueError(f'clip_grad.{key}={clip_grad[key]}: above 0; clip_grad=None clips nothing.')
        super().__init__(optimizer, accumulative_counts, dict(clip_grad) if clip_grad else None)
        if dtype is not None and dtype not in _DTYPES:
            raise ValueError(f"dtype='{dtype}'. {did_you_mean(dtype, _DTYPES)} None is full precision.")
        self.device_type = 'cuda' if torch.cuda.is_available() else 'cpu'
        if dtype == 'float16' and self.device_type == 'cpu':
            raise ValueError(
                "dtype='float16' needs a GPU (its gradients are scaled there); use 'bfloat16' on a CPU."
            )
        self.dtype = None if dtype is None else _DTYPES[dtype]
        self.scaler = torch.amp.GradScaler('cuda') if dtype == 'float16' else None

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """Runs forward passes inside in mixed precision if it is on."""
        autocast = torch.autocast(self.device_type, dtype=self.dtype, enabled=self.dtype is not None)
        with super().optim_context(model), autocast:
            yield

    def backward(self, loss: Tensor, **kwargs: Any) -> None:
        """Adds the gradient of a scalar loss; one that is not finite is a NonFiniteLossError."""
        scaled = loss if self.scaler is None else self.scaler.scale(loss)
        super().backward(scaled, **kwargs)
        value = float(loss.detach())
        if not math.isfinite(value):
            raise NonFiniteLossError(f'the loss is {value}')

    def step(self, **kwargs: Any) -> None:
        """Clips and applies the gradient.

        A norm that is not finite is a NonFiniteLossError; float16 skips the step instead, and the norm is
        measured without clipping too: so not ``error_if_nonfinite`` of ``clip_grad_norm_``.
        """
        if self.scaler is not None:
            self.scaler.unscale_(self.optimizer)
        params = [p for group in self.optimizer.param_groups for p in group['params'] if p.grad is not None]
        options = self.clip_grad_kwargs or {}
        if options and self.grad_name == 'grad_norm':
            norm = float(torch.nn.utils.clip_grad_norm_(params, **options))
        else:
            norm = float(torch.nn.utils.get_total_norm([p.grad for p in params]))
            if options:
                self.clip_func(params, **options)
        if math.isfinite(norm):
            self.message_hub.update_scalar('train/grad_norm', norm)
        elif self.scaler is None:
            raise NonFiniteLossError(f'the loss is finite but the norm of its gradient is {norm}')
        if self.scaler is None:
            self.optimizer.step(**kwargs)
        else:
            self.scaler.step(self.optimizer, **kwargs)
            self.scaler.update()

    def state_dict(self) -> dict[str, Any]:
        """Returns the optimizer's state and that of the loss scale."""
        state = super().state_dict()
        if self.scaler is not None:
            state['loss_scaler'] = self.scaler.state_dict()
        return state

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restores what :meth:`state_dict` returned."""
        state_dict = dict(state_dict)
        scaler = state_dict.pop('loss_scaler', None)
        if self.scaler is not None and scaler is not None:
            self.scaler.load_state_dict(scaler)
        super().load_state_dict(state_dict)
