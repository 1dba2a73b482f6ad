"""STGT-MM: align video with language.

Importing the package is cheap: components load when a registry first looks them up.
"""

from stgt_mm.version import __version__

__all__ = ['__version__']
