import json
import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from stgt_mm.errors import UserError
from stgt_mm.evaluation import RetrievalMetric, find_paper_row, format_report, write_results
from stgt_mm.evaluation.paper_rows import PACKAGED

MEASURED = {'R1': 40.0, 'R5': 65.0, 'R10': 75.0, 'Rmean': 60.0, 'MdR': 2.0, 'MnR': 20.0}
METRICS = {f'{name}/{key}': value for name in ('t2v', 'sim_t2v', 'v2t') for key, value in MEASURED.items()}
PROTOCOL = {'score_fusion': 'itm+itc', 'rerank_k': 32}


def write_rows(path, **directions):
    path.write_text(json.dumps({'rows': {'mine/row': {'table': 'Table 9', **directions}}}))
    return path


def test_rows_are_those_of_the_paper():
    assert str(find_paper_row('ablation/table3_csal').values['t2v']['Rmean']) == '51.27'
    assert [
        str(find_paper_row(f'ablation/table2_{name}').values['t2v']['Rmean'])
        for name in ('cross_frame', 'neither', 'adjacency', 'adjacency_weights')
    ] == ['45.57', '46.73', '48.86', '49.67']
    assert str(find_paper_row('msvd_qa/stgt_vicuna_7b').values['qa']['accuracy']) == '69.7'
    assert str(find_paper_row('efficiency/stgt').values['efficiency']['learnable_M']) == '246.2'
    rows = json.loads(PACKAGED.read_text())['rows']
    assert len(rows) == 98 + 20 + 3 and not any(key.startswith('msvd_zeroshot') for key in rows)
    assert sum(key.startswith('msvd_finetune/stgt_') for key in rows) == 4
    flagged = [key for key in rows if find_paper_row(key).flags()]
    assert flagged == [
        'lsmdc_finetune/stgt_w2m_cc3m_256', 'didemo_finetune/stgt_w10m_256',
        'msrvtt_zeroshot/miles', 'didemo_zeroshot/mcq',
    ]  # fmt: skip


def test_rows_equal_the_tables_that_were_read_digit_by_digit():
    shared = Path(os.environ.get('STGT_SHARED_DATA', Path(__file__).parents[3] / 'shared/data'))
    path = shared.parent / 'paper/tables.json'
    if not path.is_file():
        pytest.skip(f'no {path}')
    read, packaged = (
        json.loads(file.read_text(), parse_float=str, parse_int=str) for file in (path, PACKAGED)
    )
    assert packaged['rows'] == {**read['rows'], **read['qa_rows'], **read['efficiency_rows']}
    for key, doubt in read['doubtful'].items():
        assert packaged['doubtful'][key]['read'] == doubt['ocr']
        assert not doubt['t2v'].keys() & packaged['rows'][key]['t2v'].keys()


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
    metric = RetrievalMetric(paper_row='mine/row', paper_tables=str(path))
    lines = format_report(METRICS, PROTOCOL, [metric]).splitlines()
    place = next(i for i, line in enumerate(lines) if line.startswith('text -> video') and 'itm' in line)
    assert lines[place + 1].split() == [
        'text', '->', 'video', 'paper', '40.5', '66.1', '76.0', '!60.87', '-', '-',
    ]  # fmt: skip
    assert sum(' paper ' in line for line in lines) == 1 + 1  # the flag names the paper as well
    assert 'paper: row mine/row (Table 9)' in lines
    assert any('! t2v: the paper prints R-mean 63.9, the mean of its R@k is 60.87' in line for line in lines)
    write_results(tmp_path / 'out.json', METRICS, PROTOCOL, None, metric.paper_row)
    paper = json.loads((tmp_path / 'out.json').read_text())['paper']
    assert paper['source'] == 'paper' and paper['t2v']['R1'] == 40.5 and len(paper['flags']) == 1
    assert paper['recomputed_Rmean'] == {'t2v': 60.8667}


def test_other_tasks_stand_beside_their_row_too():
    task = SimpleNamespace(paper_row=find_paper_row('msvd_qa/stgt_vicuna_7b'))
    metrics = {'qa/accuracy': 61.25, 'qa/what': 50.0, 'action/top1': 70.04, 'loss': 2.0}
    cells = [line.split() for line in format_report(metrics, {}, [task]).splitlines()]
    assert cells[0] == ['measured', 'paper'] and cells[2] == ['qa', 'accuracy', '61.2', '69.7']
    assert cells[3] == ['qa', 'what', '50.0', '-'] and cells[4] == ['action', 'top1', '70.0', '-']
    assert ['loss:', '2'] in cells and cells[6][:4] == ['paper:', 'row', 'msvd_qa/stgt_vicuna_7b', '(Table']
    assert 'paper' not in format_report(metrics, {}) and 'paper' not in format_report(METRICS, PROTOCOL)


@pytest.mark.parametrize(
    ('content', 'words'),
    [
        ('{', 'is not of the form'),
        ('{"rows": []}', 'is not of the form'),
        ('{"rows": {"a": {"t2w": {}}}}', "Did you mean 't2v'"),
        ('{"rows": {"a": {"t2v": {"R2": 1.0}}}}', 'R2'),
        ('{"rows": {"a": {"t2v": {"R1": "1.0"}}}}', "R1='1.0'"),
        ('{"rows": {"a": {"qa": {"R1": 1.0}}}}', 'numbers accuracy'),
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
