"""Pictures: curves of a run, contact sheets of clips."""

from stgt_mm.visualization.contact_sheet import contact_sheet
from stgt_mm.visualization.curves import plot_curves, plot_panels, plot_run, read_scalars

__all__ = ['contact_sheet', 'plot_curves', 'plot_panels', 'plot_run', 'read_scalars']
