"""Pictures: curves of a run."""

from stgt_mm.visualization.curves import plot_curves, plot_run, read_scalars

__all__ = ['plot_curves', 'plot_run', 'read_scalars']
