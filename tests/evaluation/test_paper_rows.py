import json

import pytest

from stgt_mm.errors import UserError
from stgt_mm.evaluation import RetrievalMetric, find_paper_row, format_table, write_results

MEASURED = {'R1': 40.0, 'R5': 65.0, 'R10': 75.0, 'Rmean': 60.0, 'MdR': 2.0, 'MnR': 20.0}
METRICS = {f'{name}/{key}': value for name in ('t2v', 'sim_t2v', 'v2t') for key, value in MEASURED.items()}
PROTOCOL = {'score_fusion': 'itm+itc', 'rerank_k': 32}


def write_rows(path, **directions):
    path.write_text(json.dumps({'rows': {'mine/row': {'table': 'Table 9', **directions}}}))
    return path


def test_ablation_rows_are_there_and_others_have_no_numbers():
    assert str(find_paper_row('ablation/table3_csal').values['t2v']['Rmean']) == '51.27'
    assert [
        str(find_paper_row(f'ablation/table2_{name}').values['t2v']['Rmean'])
        for name in ('cross_frame', 'neither', 'adjacency', 'adjacency_weights')
    ] == ['45.57', '46.73', '48.86', '49.67']
    assert find_paper_row('msvd_finetune/stgt_w10m_v7m_256').values == {}


def test_an_unknown_key_suggests_the_nearest():
    with pytest.raises(UserError, match=r"Did you mean 'msrvtt_zeroshot/stgt_w10m_v4m_256'"):
        RetrievalMetric(paper_row='msrvtt_zeroshot/stgt_w10m_v4m_265')


@pytest.mark.parametrize(
    ('printed', 'right'),
    [('51.27', True), ('51.26', True), ('51.3', True), ('51.21', True), ('51.20', False), ('52.27', False)],
)
def test_a_mean_that_does_not_follow_is_flagged(tmp_path, printed, right):
    text = '{"rows": {"a": {"t2v": {"R1": 30.1, "R5": 55.4, "R10": 68.3, "Rmean": PRINTED}}}}'
    (tmp_path / 'rows.json').write_text(text.replace('PRINTED', printed))
    row = find_paper_row('a', tmp_path / 'rows.json')
    assert row.follows('t2v') is right
    assert bool(row.flags()) is not right
    assert f'{row.recomputed("t2v"):.2f}' == '51.27'
    assert row.follows('v2t') and row.recomputed('v2t') is None


def test_the_row_stands_beside_the_measured_one(tmp_path):
    path = write_rows(tmp_path / 'rows.json', t2v={'R1': 40.5, 'R5': 66.1, 'R10': 76.0, 'Rmean': 63.9})
    row = RetrievalMetric(paper_row='mine/row', paper_tables=str(path)).paper_row
    lines = format_table(METRICS, PROTOCOL, row).splitlines()
    place = next(i for i, line in enumerate(lines) if line.startswith('text -> video') and 'itm' in line)
    assert lines[place + 1].split() == [
        'text', '->', 'video', 'paper', '40.5', '66.1', '76.0', '!60.87', '-', '-',
    ]  # fmt: skip
    assert sum(' paper ' in line for line in lines) == 1 + 1  # the flag names the paper as well
    assert 'paper: row mine/row (Table 9)' in lines
    assert any('! t2v: the paper prints R-mean 63.9, the mean of its R@k is 60.87' in line for line in lines)
    write_results(tmp_path / 'out.json', METRICS, PROTOCOL, None, row)
    paper = json.loads((tmp_path / 'out.json').read_text())['paper']
    assert paper['source'] == 'paper' and paper['t2v']['R1'] == 40.5 and len(paper['flags']) == 1
    assert paper['recomputed_Rmean'] == {'t2v': 60.8667}


def test_a_row_without_numbers_says_so():
    text = format_table(METRICS, PROTOCOL, find_paper_row('lsmdc_zeroshot/stgt_w10m_256'))
    assert 'not in this package' in text and '!' not in text
    assert 'paper' not in format_table(METRICS, PROTOCOL)


@pytest.mark.parametrize(
    ('content', 'words'),
    [
        ('{', 'is not of the form'),
        ('{"rows": []}', 'is not of the form'),
        ('{"rows": {"a": {"t2w": {}}}}', "Did you mean 't2v'"),
        ('{"rows": {"a": {"t2v": {"R2": 1.0}}}}', 'R2'),
        ('{"rows": {"a": {"t2v": {"R1": "1.0"}}}}', "R1='1.0'"),
    ],
)
def test_a_wrong_file_is_named(tmp_path, content, words):
    path = tmp_path / 'rows.json'
    path.write_text(content)
    with pytest.raises(UserError, match=words) as caught:
        find_paper_row('a', path)
    assert str(path) in str(caught.value)
    with pytest.raises(UserError, match='does not exist'):
        find_paper_row('a', tmp_path / 'none.json')
