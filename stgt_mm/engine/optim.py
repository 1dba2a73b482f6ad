"""Optimizer pieces: trainable parameters only, guarded updates, autocast on any device."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from mmengine.optim import OptimWrapper
from mmengine.registry import OPTIM_WRAPPERS as ROOT_OPTIM_WRAPPERS
from mmengine.registry import OPTIMIZERS
from torch import Tensor, nn

from stgt_mm.engine.errors import NonFiniteLossError
from stgt_mm.registry import OPTIM_WRAPPER_CONSTRUCTORS, OPTIM_WRAPPERS
from stgt_mm.utils import did_you_mean

_PARAM_KEYS = ('lr_mult', 'decay_mult', 'options')
_DTYPES = {'bfloat16': torch.bfloat16, 'float16': torch.float16}


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class TrainableParamsConstructor:
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
        self.wrapper_cfg = dict(optim_wrapper_cfg)
        self.optimizer_cfg = dict(self.wrapper_cfg.pop('optimizer'))
        paramwise_cfg = dict(paramwise_cfg or {})
        self.custom_keys = dict(paramwise_cfg.pop('custom_keys', None) or {})
        for key in paramwise_cfg:
            raise ValueError(f"paramwise_cfg has no '{key}'. {did_you_mean(key, ['custom_keys'])}")
        for prefix, options in self.custom_keys.items():
            for key in set(options) - set(_PARAM_KEYS):
                raise ValueError(f"custom_keys['{prefix}']: {key}. {did_you_mean(key, _PARAM_KEYS)}")

    def __call__(self, model: nn.Module) -> OptimWrapper:
        """Builds the optimizer and its wrapper.

        Args:
            model: The model, wrapped for distribution or not.

        Returns:
            The wrapper.

        Raises:
            ValueError: If nothing is trainable or a prefix matches no trainable parameter.
        """
        model = getattr(model, 'module', model)
        optimizer_cfg = dict(self.optimizer_cfg, params=self.param_groups(model), _scope_='mmengine')
        optimizer = OPTIMIZERS.build(optimizer_cfg)
        wrapper_cfg = dict(self.wrapper_cfg)
        wrapper_cfg.setdefault('type', 'AutocastOptimWrapper')
        return ROOT_OPTIM_WRAPPERS.build(wrapper_cfg, default_args={'optimizer': optimizer})

    def param_groups(self, model: nn.Module) -> list[dict[str, Any]]:
        """Groups the trainable parameters by learning rate and weight decay.

        Args:
            model: Unwrapped model.

        Returns:
            Parameter groups for a torch optimizer, in the order of the model's parameters.

        Raises:
            ValueError: If nothing is trainable or a prefix matches no trainable parameter.
        """
        base_lr = float(self.optimizer_cfg['lr'])
        base_decay = float(self.optimizer_cfg.get('weight_decay', 0.0))
        groups: dict[tuple, dict[str, Any]] = {}
        unused = set(self.custom_keys)
        names = []
        for name, parameter in model.named_parameters():
            if not parameter.requires_grad:
                continue
            names.append(name)
            prefix = self._longest_prefix(name)
            unused.discard(prefix)
            options = self.custom_keys.get(prefix, {})
            lr = base_lr * options.get('lr_mult', 1.0)
            decay = 0.0 if parameter.ndim <= 1 else base_decay * options.get('decay_mult', 1.0)
            own = dict(options.get('options', {}))
            key = (lr, decay, *sorted(own.items()))
            group = groups.setdefault(key, {'params': [], 'lr': lr, 'weight_decay': decay, **own})
            group['params'].append(parameter)
        if not groups:
            raise ValueError(
                f'{type(model).__name__} has no trainable parameter: everything in it is frozen.'
            )
        for prefix in sorted(unused):
            known = {'.'.join(name.split('.')[: prefix.count('.') + 1]) for name in names}
            raise ValueError(
                f"custom_keys: '{prefix}' matches no trainable parameter. {did_you_mean(prefix, known)}"
            )
        return list(groups.values())

    def _longest_prefix(self, name: str) -> str:
        matching = [key for key in self.custom_keys if name == key or name.startswith(f'{key}.')]
        return max(matching, key=len, default='')


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
        ValueError: If the type is unknown or does not work on this machine.
    """

    def __init__(
        self,
        optimizer: torch.optim.Optimizer,
        dtype: str | None = None,
        accumulative_counts: int = 1,
        clip_grad: dict[str, Any] | None = None,
    ):
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
        """Forward passes inside run in mixed precision if it is on.

        Args:
            model: The model, wrapped for distribution or not.
        """
        autocast = torch.autocast(self.device_type, dtype=self.dtype, enabled=self.dtype is not None)
        with super().optim_context(model), autocast:
            yield

    def backward(self, loss: Tensor, **kwargs: Any) -> None:
        """Adds the gradient of a loss.

        Args:
            loss: Scalar, shape ().
            **kwargs: For :meth:`torch.Tensor.backward`.

        Raises:
            NonFiniteLossError: If the loss is not finite.
        """
        scaled = loss if self.scaler is None else self.scaler.scale(loss)
        super().backward(scaled, **kwargs)
        value = float(loss.detach())
        if not math.isfinite(value):
            raise NonFiniteLossError(f'the loss is {value}')

    def step(self, **kwargs: Any) -> None:
        """Clips and applies the gradient.

        Args:
            **kwargs: For the optimizer's ``step``.

        Raises:
            NonFiniteLossError: If the norm of the gradient is not finite (float16 skips the step instead).
        """
        if self.scaler is not None:
            self.scaler.unscale_(self.optimizer)
        norm = float(self._measure_and_clip())
        if math.isfinite(norm):
            self.message_hub.update_scalar('train/grad_norm', norm)
        elif self.scaler is None:
            raise NonFiniteLossError(f'the loss is finite but the norm of its gradient is {norm}')
        if self.scaler is None:
            self.optimizer.step(**kwargs)
        else:
            self.scaler.step(self.optimizer, **kwargs)
            self.scaler.update()

    def _measure_and_clip(self) -> Tensor:
        params = [p for group in self.optimizer.param_groups for p in group['params'] if p.grad is not None]
        options = self.clip_grad_kwargs or {}
        if options and self.grad_name == 'grad_norm':
            return torch.nn.utils.clip_grad_norm_(params, **options)
        norm = torch.nn.utils.get_total_norm([p.grad for p in params])
        if options:
            self.clip_func(params, **options)
        return norm

    def state_dict(self) -> dict[str, Any]:
        """Returns the optimizer's state and that of the loss scale."""
        state = super().state_dict()
        if self.scaler is not None:
            state['loss_scaler'] = self.scaler.state_dict()
        return state

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restores what :meth:`state_dict` returned.

        Args:
            state_dict: The state.
        """
        state_dict = dict(state_dict)
        scaler = state_dict.pop('loss_scaler', None)
        if self.scaler is not None and scaler is not None:
            self.scaler.load_state_dict(scaler)
        super().load_state_dict(state_dict)
