from stgt_mm.io.marker import marker_fits, write_marker


def test_a_marker_fits_what_it_was_written_for(tmp_path):
    path = tmp_path / 'made.json'
    assert not marker_fits(path, {'seed': 0})
    write_marker(path, {'seed': 0, 'sizes': (1, 2)})
    assert marker_fits(path, {'sizes': (1, 2), 'seed': 0})
    assert not marker_fits(path, {'sizes': (1, 2), 'seed': 1})
    path.write_text('{"seed": 0')
    assert not marker_fits(path, {'seed': 0, 'sizes': (1, 2)})
