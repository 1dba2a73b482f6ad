"""How a caption is written before it is tokenised (see :mod:`stgt_mm.functional.text_cleaning`)."""

from stgt_mm.functional.text_cleaning import clean_caption

__all__ = ['clean_caption']
