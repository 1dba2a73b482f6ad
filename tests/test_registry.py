"""Names are found whatever was built before, and mistyped ones get a suggestion."""

import pytest
from mmengine.registry import DefaultScope

from stgt_mm.registry import MODELS


def test_a_name_is_found_under_a_foreign_scope():
    with DefaultScope.overwrite_default_scope('mmengine'):
        assert type(MODELS.build({'type': 'VTC'})).__name__ == 'VTC'


def test_a_mistyped_name_gets_a_suggestion():
    with pytest.raises(KeyError, match=r'Did you mean .*MeanPoolNeck'):
        MODELS.build({'type': 'MeanPolNeck'})
