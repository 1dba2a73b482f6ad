"""TODO-DOC."""

from stgt_mm.models import heads, losses

__all__ = ['heads', 'losses']
