import hashlib
import json
from importlib.util import find_spec

from stgt_mm.evaluation import RetrievalMetric, format_report, write_results
from stgt_mm.io.hashing import config_sha256

VALUES = {'R1': 61.25, 'R5': 80.0, 'R10': 90.0, 'Rmean': 77.083, 'MdR': 1.0, 'MnR': 3.216}
METRICS = {
    **{f't2v/{name}': value for name, value in VALUES.items()},
    **{f'v2t/{name}': value + 1 for name, value in VALUES.items()},
    **{f'sim_t2v/{name}': value - 1 for name, value in VALUES.items()},
    **{f'v2t_videos/{name}': value for name, value in VALUES.items()},
    'one_fact/accuracy': 71.0,
    'one_fact/direction': 99.0,
    'fused_one_fact/accuracy': 75.0,
    'fused_one_fact/direction': 98.0,
    'one_fact/skipped': 3,
    'skipped_videos': 2,
}
PROTOCOL = {'split': 'test', 'annotation': 'data/test.jsonl', 'rerank_k': 32, 'score_fusion': 'itm+itc',
            'fusion_weight': None, 'ties': ['average'], 'choices': {'one_fact': 997}}  # fmt: skip


def test_table_shows_every_number_and_how_it_was_measured():
    lines = format_report(METRICS, PROTOCOL, [RetrievalMetric()]).splitlines()

    row = next(line for line in lines if line.startswith('text -> video') and 'itm+itc' in line)
    assert row.split()[-6:] == ['61.2', '80.0', '90.0', '77.1', '1.00', '3.22']
    similar = next(line for line in lines if line.startswith('text -> video') and 'similarity' in line)
    assert similar.split()[-6] == '60.2'
    assert any(line.startswith('video -> text (videos)') for line in lines)
    assert any(line.split() == ['one_fact', 'direction', '99.0', '98.0'] for line in lines)
    assert any(line.split() == ['one_fact', 'skipped', '3', '-'] for line in lines)
    assert 'skipped_videos: 2' in lines
    assert any(line.split() == ['rerank', 'k', '32'] for line in lines)
    assert any(line.split() == ['choices', 'one_fact', '997'] for line in lines)
    assert not any(line.startswith('fusion weight') for line in lines)


def test_columns_line_up():
    table = format_report(METRICS, PROTOCOL, [RetrievalMetric()]).split('\n\n')[1].splitlines()
    assert len({len(line) for line in table}) == 1


def test_results_file_names_versions_and_checkpoint(tmp_path):
    checkpoint = tmp_path / 'last.pth'
    checkpoint.write_bytes(b'weights')
    path = tmp_path / 'new' / 'results.json'
    write_results(path, METRICS, {**PROTOCOL, 'checkpoint': str(checkpoint)})
    result = json.loads(path.read_text())
    assert 'config_sha256' not in result and 'paper' not in result
    assert result['metrics'] == METRICS
    assert result['protocol']['rerank_k'] == 32
    assert result['checkpoint_sha256'] == hashlib.sha256(b'weights').hexdigest()
    always = {'stgt_mm', 'torch', 'mmengine', 'python'}
    optional = {name for name in ('timm', 'transformers', 'av', 'decord') if find_spec(name)}
    optional |= {'open_clip_torch'} if find_spec('open_clip') else set()
    assert set(result['versions']) == always | optional
    assert all(version[0].isdigit() for version in result['versions'].values())
    assert [entry.name for entry in path.parent.iterdir()] == ['results.json']


def test_the_hash_of_a_config_is_of_what_is_tested(tmp_path):
    cfg = {'model': {'type': RetrievalMetric, 'depth': 2}, 'load_from': 'a.pth', 'work_dir': 'here'}
    first = config_sha256(cfg)
    elsewhere = {'work_dir': 'there', 'model': {'depth': 2, 'type': 'RetrievalMetric'}}
    assert config_sha256(elsewhere) == first
    assert config_sha256({'model': {'type': 'RetrievalMetric', 'depth': 3}}) != first
    annotation = tmp_path / 'a.jsonl'
    annotation.write_text('{}')
    write_results(tmp_path / 'o.json', METRICS, {**PROTOCOL, 'annotation': str(annotation)}, cfg)
    result = json.loads((tmp_path / 'o.json').read_text())
    assert result['config_sha256'] == first
    assert result['annotation_sha256'] == hashlib.sha256(b'{}').hexdigest()


def test_post_processed_rows_are_named_and_explained():
    metrics = dict(METRICS)
    for name in ('sim_t2v_dsl', 'sim_v2t_dsl', 'sim_v2t_dsl_videos'):
        metrics.update({f'{name}/{key}': value for key, value in VALUES.items()})
    protocol = {**PROTOCOL, 'post_processing': {'dsl': 'takes the whole test set'}}
    lines = format_report(metrics, protocol, [RetrievalMetric()]).splitlines()
    found = [line.split('  ')[0] for line in lines if 'similarity + dsl' in line]
    assert found == ['text -> video', 'video -> text', 'video -> text (videos)']
    assert 'dsl: takes the whole test set' in lines


def test_long_lists_are_cut_in_the_table_only():
    lines = format_report(METRICS, {**PROTOCOL, 'skipped_video_ids': [f'v{i}' for i in range(9)]})
    assert 'v0, v1, v2, v3, v4 and 4 more' in lines
