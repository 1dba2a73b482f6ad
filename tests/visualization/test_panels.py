import pytest

from stgt_mm.visualization.curves import plot_panels


def test_panels_are_drawn_and_a_picture_is_a_png(tmp_path):
    panels = {
        'loss': {'a': ([0, 1], [2.0, 1.0]), 'b': ([0, 1], [3.0, 1.0])},
        'R1': {'b': ([0, 1], [5.0, 9.0])},
    }
    path = plot_panels(panels, tmp_path / 'new/p.png', 'k', {0.0: 'none', 1.0: 'all'})
    assert path.read_bytes()[:8] == b'\x89PNG\r\n\x1a\n' and path.stat().st_size > 5000
    with pytest.raises(ValueError, match='every panel needs one'):
        plot_panels({'loss': {}}, tmp_path / 'p.png')
    with pytest.raises(ValueError, match=r"call it '.*p\.png'"):
        plot_panels(panels, tmp_path / 'p.pdf')
