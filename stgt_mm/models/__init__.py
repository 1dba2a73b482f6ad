"""Models: backbones, necks, Q-Former, heads, losses and the aligners that assemble them."""

from stgt_mm.models import backbones, heads, losses, necks, qformer

__all__ = ['backbones', 'heads', 'losses', 'necks', 'qformer']
