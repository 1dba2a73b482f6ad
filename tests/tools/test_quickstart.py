"""What a second run of the quickstart reuses, goes on with or does once more; the tools are not run."""

from pathlib import Path

import pytest
from command_line import load_tool

quickstart = load_tool('quickstart.py')
WORK_DIR = Path('run')
EPOCHS = 10


class Tools:
    """Stands for the tools that the quickstart calls: records the calls and leaves their files behind."""

    def __init__(self):
        self.calls = []
        self.stop_after = None

    def __call__(self, tool, *arguments):
        name = Path(tool).stem.removeprefix('dist_')
        self.calls.append(f'{name} --resume' if '--resume' in arguments else name)
        if name == 'moving_shapes':
            describe_clips('first')
            (quickstart.DATA / 'contact_sheet.png').touch()
        if name == 'train':
            (WORK_DIR / 'last_checkpoint').write_text(f'epoch_{self.stop_after or EPOCHS}.pth')
            if self.stop_after:
                raise SystemExit(130)
            (WORK_DIR / 'best_t2v_Rmean.pth').touch()

    def of_a_run(self, *options):
        """Calls the quickstart and returns which tools it ran."""
        self.calls.clear()
        quickstart.main(['--work-dir', str(WORK_DIR), *options])
        return list(self.calls)


def describe_clips(content):
    path = quickstart.DATA / 'moving_shapes.json'
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.is_file() or content != 'first':
        path.write_text(content)


@pytest.fixture
def tools(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path('config.py').write_text(f'train_cfg = dict(by_epoch=True, max_epochs={EPOCHS})\n')
    found = Tools()
    monkeypatch.setattr(quickstart, 'CONFIG', 'config.py')
    monkeypatch.setattr(quickstart, 'run', found)
    monkeypatch.setattr(quickstart, 'plot_run', lambda scalars, folder: [])
    return found


def interrupt(tools, epoch):
    tools.stop_after = epoch
    with pytest.raises(SystemExit):
        tools.of_a_run()
    tools.stop_after = None


def test_a_second_run_reuses_the_model(tools, capsys):
    assert quickstart.minutes_left(WORK_DIR) == quickstart.STEPS
    assert tools.of_a_run() == ['moving_shapes', 'train', 'test']
    assert 'from the start' not in capsys.readouterr().out
    assert quickstart.is_trained(WORK_DIR)
    assert quickstart.minutes_left(WORK_DIR)['train'] == 0
    assert tools.of_a_run() == ['moving_shapes', 'test']
    assert 'reused: run/best_t2v_Rmean.pth' in capsys.readouterr().out
    assert tools.of_a_run('--fresh') == ['moving_shapes', 'train', 'test']


def test_an_interrupted_training_goes_on(tools):
    interrupt(tools, 4)
    assert not quickstart.is_trained(WORK_DIR)
    assert quickstart.minutes_left(WORK_DIR)['train'] == pytest.approx(0.6 * quickstart.STEPS['train'])
    assert tools.of_a_run() == ['moving_shapes', 'train --resume', 'test']
    assert tools.of_a_run() == ['moving_shapes', 'test']


def test_a_model_without_its_checkpoint_is_not_reused_and_the_place_is_no_change(tools):
    tools.of_a_run()
    with Path('config.py').open('a') as file:
        file.write("work_dir = 'elsewhere'  # a comment\n")
    assert quickstart.is_trained(WORK_DIR)
    (WORK_DIR / 'best_t2v_Rmean.pth').unlink()
    assert not quickstart.is_trained(WORK_DIR)
    assert 'test' in tools.of_a_run()


@pytest.mark.parametrize('whole', [True, False])
@pytest.mark.parametrize('changed', ['config', 'clips'])
def test_another_config_or_other_clips_train_again(tools, changed, whole, capsys):
    tools.of_a_run() if whole else interrupt(tools, 4)
    before = quickstart.made_from()
    if changed == 'config':
        Path('config.py').write_text('train_cfg = dict(by_epoch=True, max_epochs=20)\n')
    else:
        describe_clips('others')
    assert quickstart.made_from() != before
    assert not quickstart.is_trained(WORK_DIR)
    assert quickstart.minutes_left(WORK_DIR)['train'] == quickstart.STEPS['train']
    capsys.readouterr()
    assert tools.of_a_run() == ['moving_shapes', 'train', 'test'], 'neither reused nor resumed'
    words = 'the training in run had another config or other clips: training from the start'
    assert words in capsys.readouterr().out
    assert tools.of_a_run() == ['moving_shapes', 'test']
