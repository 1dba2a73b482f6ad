"""Pickles that hold plain containers, numbers and texts, and nothing that could run."""

import pickle
from pathlib import Path
from typing import Any

from stgt_mm.datasets.records import AnnotationError
from stgt_mm.preparation.annotations.reading import annotation_path

# dict, list, tuple, str, bytes, numbers and None have opcodes of their own; these are looked up by name
ADMITTED = {'set': set, 'frozenset': frozenset}
BUILTIN_MODULES = ('builtins', '__builtin__')


class PlainUnpickler(pickle.Unpickler):
    """Refuses a pickle that names anything but :data:`ADMITTED`.

    Not all of ``builtins`` is plain: ``eval`` and ``getattr`` are there too.
    """

    def find_class(self, module_name: str, global_name: str) -> Any:
        """Returns the admitted type that the pickle names."""
        if module_name in BUILTIN_MODULES and global_name in ADMITTED:
            return ADMITTED[global_name]
        raise pickle.UnpicklingError(f"it asks for '{module_name}.{global_name}', which is not plain data")


def read_plain_pickle(path: str | Path) -> Any:
    """Reads a pickle of plain data, of Python 2 or 3; texts of Python 2 come as bytes."""
    path = annotation_path(path)
    with path.open('rb') as file:
        try:
            return PlainUnpickler(file, encoding='bytes').load()
        except MemoryError as error:
            raise AnnotationError(
                f'{path}: refused: it claims more than memory holds. It is broken.'
            ) from error
        except Exception as error:  # a broken pickle raises whatever its bytes happen to mean
            raise AnnotationError(
                f'{path}: refused at byte {file.tell():,} or before: {error}. Fetch the file again from its '
                'source, or use the JSON form.'
            ) from error
