"""The command that renders Moving Shapes: a second call keeps, repairs or replaces what is there."""

from command_line import run_here

SIZES = ('--train', '4', '--val', '9', '--test', '9', '--one-fact', '13', '--jobs', '1')


def test_a_second_call_renders_only_what_is_missing(tmp_path, capsys):
    def render(*options):
        assert run_here('dataset_converters/moving_shapes.py', tmp_path, *SIZES, *options) == 0
        return capsys.readouterr().out

    assert 'rendered' in render()
    videos = sorted((tmp_path / 'videos').iterdir())
    assert (tmp_path / 'contact_sheet.png').is_file()
    assert len(videos) >= 22
    before = {path.name: path.read_bytes() for path in videos}

    assert 'rendered' not in render()
    videos[3].unlink()
    assert 'rendered 1/1' in render()
    assert {path.name: path.read_bytes() for path in videos} == before

    annotation = (tmp_path / 'train.jsonl').read_bytes()
    render('--seed', '1')
    assert (tmp_path / 'train.jsonl').read_bytes() != annotation
    assert (tmp_path / 'videos' / 'video0.mp4').read_bytes() != before['video0.mp4']
