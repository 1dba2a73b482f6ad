"""What is absent is listed in one message, with commands that exist, before anything is built."""

import re
from pathlib import Path

import pytest
from command_line import ROOT, run_here

from stgt_mm.config import load_config
from stgt_mm.engine.cli import build_runner
from stgt_mm.engine.needed_files import MissingFilesError, check_needed_files, needed_files

TRAINING = ('train_dataloader', 'val_dataloader')


@pytest.fixture
def tiny(tmp_path, monkeypatch):
    """The tiny config in a folder where nothing is."""
    monkeypatch.chdir(tmp_path)
    return load_config(ROOT / 'configs/moving_shapes/stgt_tiny.py')


def make(paths):
    for path in map(Path, paths):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch() if path.suffix else path.mkdir(exist_ok=True)


def test_everything_that_is_absent_is_in_one_message_with_its_key_and_command(tiny):
    with pytest.raises(MissingFilesError) as error:
        check_needed_files(tiny, TRAINING)
    text = str(error.value)
    for word in (
        "no vocabulary file 'data/moving_shapes/vocab.txt' (model.data_preprocessor.tokenizer.vocab)",
        "no annotation file 'data/moving_shapes/train.jsonl' (train_dataloader.dataset.ann_file)",
        "no annotation file 'data/moving_shapes/val.jsonl' (val_dataloader.dataset.ann_file)",
        "no folder of videos 'data/moving_shapes/videos' (train_dataloader.dataset.video_root)",
    ):
        assert word in text
    assert text.count('moving_shapes.py data/moving_shapes') == 1, 'one command, said once'
    assert 'test.jsonl' not in text and 'tiny_vit' not in text


def test_only_what_the_run_reads_counts(tiny):
    make(['data/moving_shapes/vocab.txt', 'data/moving_shapes/train.jsonl', 'data/moving_shapes/videos'])
    check_needed_files(tiny, ['train_dataloader'])
    tiny.train_dataloader.dataset.video_root = 's3://bucket/shards'  # its data set asks there
    check_needed_files(tiny, ['train_dataloader'])
    with pytest.raises(MissingFilesError, match=r'backwards\.jsonl'):
        check_needed_files(tiny, ['test_dataloader'])


def test_nothing_is_built_first(tiny, monkeypatch):
    built = []
    monkeypatch.setattr('stgt_mm.engine.runner.VideoTextRunner.from_cfg', built.append)
    with pytest.raises(MissingFilesError):
        build_runner(tiny, reads=TRAINING)
    assert not built


def test_where_a_training_goes_on_its_start_is_not_needed(tiny, tmp_path):
    tiny.load_from, tiny.work_dir = 'weights/stgt_w10m_256.safetensors', str(tmp_path / 'run')
    assert 'load_from' in [item.key for item in needed_files(tiny, TRAINING)]
    make(['run/epoch_1.pth'])
    tiny.resume = 'auto'
    assert 'load_from' not in [item.key for item in needed_files(tiny, TRAINING)]


def test_data_sets_inside_others_are_looked_at():
    inner = [dict(ann_file='a.jsonl', video_root='a')]
    inner.append(dict(ann_file='b.jsonl', video_root='b', made_by='b.py'))
    found = needed_files(dict(train_dataloader=dict(dataset=dict(sources=inner))), ['train_dataloader'])
    assert [item.key.rpartition('sources.')[2] for item in found[::2]] == ['0.ann_file', '1.ann_file']
    assert [item.path for item in found[::2]] == ['a.jsonl', 'b.jsonl']
    assert 'custom.py LIST a.jsonl' in found[0].remedy and found[2].remedy == 'b.py'


def test_a_name_of_a_hugging_face_repository_is_no_file():
    def paths(**language_model):
        model = dict(language_model=language_model)
        return [item.path for item in needed_files(dict(model=model), ())]

    assert paths(pretrained='facebook/opt-2.7b', tokenizer='gpt2') == []
    assert paths(pretrained='lmsys/vicuna-7b-v1.3') == []
    own = ['weights/llms/opt', './opt', '/d/opt', '~/opt', 'words.txt']
    assert [path for name in own for path in paths(pretrained=name)] == own


def test_the_vocabulary_of_the_metric_is_needed_too():
    cfg = dict(test_evaluator=[dict(vocabulary='a.txt')], val_evaluator=dict(vocabulary='b.txt'))
    assert [item.key for item in needed_files(cfg, ['test_dataloader'])] == ['test_evaluator.0.vocabulary']


def test_processes_after_the_first_say_nothing(tiny, monkeypatch):
    waited = []
    monkeypatch.setattr('stgt_mm.engine.needed_files.time.sleep', waited.append)
    monkeypatch.setenv('LOCAL_RANK', '1')
    with pytest.raises(SystemExit):
        check_needed_files(tiny, TRAINING)
    assert waited


PRETRAIN, FINETUNE, WIDE = 'stgt/pretrain_w10m.py', 'retrieval/msvd_finetune.py', 'stgt/pretrain_w2m_cc3m.py'
COMMANDS = {
    (PRETRAIN, ''): {
        'weights/eva_vit_g.safetensors': 'convert.py eva ',
        'weights/blip2_qformer.safetensors': 'convert.py lavis_blip2 ',
        'weights/bert-base-uncased/vocab.txt': '--local-dir weights/bert-base-uncased',
        'data/webvid10m/train.jsonl': 'webvid.py results_10M_train.csv data/webvid10m/train.jsonl ',
    },
    (WIDE, ''): {
        'data/webvid2m/train.jsonl': 'webvid.py results_2M_train.csv ',
        'data/cc3m/train.jsonl': '--image-root data/cc3m/images',
    },
    ('stgt/pretrain_w10m_v4m.py', ''): {'data/vidal10m/train_4m.jsonl': '--max-videos 4000000'},
    ('stgt/pretrain_w10m_v7m.py', ''): {
        'data/vidal10m/train_7m.jsonl': 'train_7m.jsonl --max-videos 7000000'
    },
    (FINETUNE, ''): {
        'weights/stgt_w10m_v7m_256.safetensors': 'checkpoint_w10m_v7m_256.pth',
        'data/msvd/train.jsonl': 'msvd.py downloads/msvd data/msvd',
        'data/msvd/videos': 'ln -s VIDEOS data/msvd/videos',
    },
    ('video_qa/msvd_opt2_7b.py', ''): {
        'weights/opt-2.7b': 'hf download facebook/opt-2.7b --local-dir weights/opt-2.7b'
    },
    ('video_qa/msrvtt_vicuna7b.py', ''): {'weights/vicuna-7b': 'hf download lmsys/vicuna-7b-v1.3 '},
    ('video_qa/msvd_vicuna7b.py', 'model.language_model.pretrained'): {
        '/d/llama': 'hf download NAME --local-dir /d/llama'
    },
    ('video_qa/msvd_classify.py', ''): {
        'data/msvd_qa/answers.txt': 'msvd_qa.py downloads/msvd_qa data/msvd_qa --answers 1000',
        'data/msvd_qa/train.jsonl': 'msvd_qa.py downloads/msvd_qa data/msvd_qa --answers 1000',
    },
    ('video_qa/msrvtt_classify.py', 'model.answer_head.vocabulary'): {
        'mine.txt': 'build_answers.py ANNOTATION.jsonl mine.txt'
    },
    ('moving_shapes/qa_rank.py', ''): {
        'data/moving_shapes/answers.txt': 'moving_shapes.py data/moving_shapes',
        'data/moving_shapes/qa_vocab.txt': 'moving_shapes.py data/moving_shapes',
        'work_dirs/quickstart/best_t2v_Rmean.pth': 'tools/quickstart.py',
    },
    ('moving_shapes/qa_rank.py', 'model.language_model.tokenizer'): {
        'words.txt': 'build_vocab.py ANNOTATION.jsonl words.txt --keys question answer'
    },
    (FINETUNE, 'data_root'): {'/disk/a/train.jsonl': 'msvd.py downloads/msvd /disk/a'},
    (FINETUNE, 'train_dataloader.dataset.ann_file'): {'mine.jsonl': 'custom.py LIST mine.jsonl'},
    (FINETUNE, 'load_from'): {
        'work_dirs/pretrain_w10m/epoch_12.pth': 'dist_train.sh configs/stgt/pretrain_w10m.py',
        '/d/blip2_qformer.safetensors': ' lavis_blip2 ',
        'elsewhere.pth': '--cfg-options load_from=PATH',
    },
}


@pytest.mark.parametrize(('config', 'key'), COMMANDS)
def test_the_command_fits_the_path_and_its_tool_exists(config, key):
    for path, words in COMMANDS[config, key].items():
        overrides = {key: '/disk/a' if key == 'data_root' else path} if key else {}
        cfg = load_config(ROOT / 'configs' / config, overrides)
        remedy = {item.path: item.remedy for item in needed_files(cfg, ['train_dataloader'])}[path]
        assert words in remedy
        for tool in re.findall(r'(?:tools|configs)/\S+?\.(?:py|sh)', remedy):
            assert (ROOT / tool).is_file()


def test_the_tools_stop_with_the_list(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    checkpoint = 'weights/stgt_w10m_v7m_256.safetensors'
    assert run_here('test.py', ROOT / 'configs/retrieval/msrvtt_zeroshot.py', checkpoint) == 2
    printed = capsys.readouterr().err
    assert 'Traceback' not in printed
    for word in (
        '5 of the paths',
        'eva_vit_g',
        checkpoint,
        'vocab.txt',
        'test_1ka.jsonl',
        'data/msrvtt/videos',
    ):
        assert word in printed
