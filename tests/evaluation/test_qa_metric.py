"""Accuracy of answers: normalisations, types, unknown answers, several processes, the report."""

import json

import pytest
import torch
from gloo_pair import in_two_processes
from mmengine.evaluator import Evaluator
from mmengine.runner import BaseLoop

from stgt_mm.errors import UserError
from stgt_mm.evaluation import VideoQAMetric, format_report
from stgt_mm.evaluation.report import report_test
from stgt_mm.structures import VideoTextSample

# question, true answers, prediction
ROWS = [
    ('what is it?', ['dog'], 'The dog.'),
    ('what runs?', ['dog'], 'cat'),
    ('who runs?', ['man', 'boy'], 'boy'),
    ('how many?', ['2'], 'two'),
    ('is it red?', ['yes'], 'no'),
]


def samples(rows=ROWS):
    made = []
    for index, (question, answers, prediction) in enumerate(rows):
        info = {'sample_idx': index, 'video_id': f'v{index}', 'question_id': str(index), 'question': question}
        info |= {'answer': answers[0]} | ({'answers': answers} if len(answers) > 1 else {})
        made.append(VideoTextSample(metainfo=info, prediction=prediction, score=-0.5, mode='generate'))
    return made


def measure(rows=ROWS, **options):
    evaluator = Evaluator(VideoQAMetric(**options))
    evaluator.process(samples(rows))
    return evaluator.evaluate(len(rows)), evaluator.metrics[0]


@pytest.mark.parametrize(('rules', 'right'), [('exact', 1), ('basic', 2), ('vqa', 3)])
def test_accuracy_by_normalisation_and_type(rules, right):
    metrics, metric = measure(normalisation=rules)
    assert metrics['qa/accuracy'] == pytest.approx(20 * right)
    assert metrics['qa/what'] == (0 if rules == 'exact' else 50)
    assert metrics['qa/who'] == 100 and metrics['qa/other'] == 0
    assert metrics['qa/how'] == (100 if rules == 'vqa' else 0)
    counts = {key.rpartition('/')[2]: value for key, value in metrics.items() if '/questions/' in key}
    assert counts == {'all': 5, 'what': 2, 'who': 1, 'how': 1, 'other': 1}
    assert 'qa/unknown_answers' not in metrics
    assert metric.predictions[0] == {
        'sample_idx': 0, 'video_id': 'v0', 'question_id': '0', 'question': 'what is it?', 'type': 'what',
        'answers': ['dog'], 'prediction': 'The dog.', 'score': -0.5, 'known': True, 'right': rules != 'exact',
    }  # fmt: skip


def test_answers_outside_the_vocabulary_are_wrong_and_counted(tmp_path):
    (tmp_path / 'answers.txt').write_text('the cat\nboy\n\n2\nyes\n')
    metrics, metric = measure(vocabulary=str(tmp_path / 'answers.txt'))
    assert metrics['qa/unknown_answers'] == 40  # dog, twice
    assert metrics['qa/accuracy'] == 20 and metrics['qa/what'] == 0
    assert [row['known'] for row in metric.predictions] == [False, False, True, True, True]


def test_a_type_of_the_data_goes_before_the_first_word():
    metric = VideoQAMetric()
    sample = samples()[0].to_dict() | {'question_type': 'colour'}
    metric.process(None, [sample])
    assert metric.evaluate(1)['qa/colour'] == 100


def test_a_question_that_was_seen_twice_counts_once():
    metric = VideoQAMetric()
    metric.process(None, [sample.to_dict() for sample in [*samples(), samples()[0]]])
    metrics = metric.evaluate(6)
    assert metrics['qa/questions/all'] == 5 and metrics['qa/accuracy'] == 40


def part_of():
    evaluator = Evaluator(VideoQAMetric())
    evaluator.process(samples()[torch.distributed.get_rank() :: 2])
    metrics = evaluator.evaluate(len(ROWS))
    return metrics, [row['sample_idx'] for row in evaluator.metrics[0].predictions]


def test_two_processes_find_the_numbers_of_one(tmp_path):
    first, second = in_two_processes(part_of, tmp_path)
    assert first[0] == second[0] == measure()[0]
    assert first[1] == [0, 1, 2, 3, 4]


def test_the_report_has_a_table_with_counts_and_the_row_of_the_paper(tmp_path):
    (tmp_path / 'answers.txt').write_text('boy\nyes\n2\n')
    vocabulary = str(tmp_path / 'answers.txt')
    metrics, metric = measure(paper_row='msvd_qa/stgt_opt_2.7b', vocabulary=vocabulary)
    lines = format_report(metrics, {'mode': 'generate', 'normalisation': ['basic']}, [metric]).splitlines()
    table = [line.split() for line in lines if line.startswith('qa ')]
    assert ['qa', 'all', '5', '20.0', '60.3'] in table
    assert ['qa', 'what', '2', '0.0', '-'] in table and len(table) == 5
    assert any(line.split() == ['normalisation', 'basic'] for line in lines)
    assert 'qa: 40.0% of the questions have no answer in the vocabulary and count as wrong' in lines
    assert any(line.startswith('paper: row msvd_qa/stgt_opt_2.7b (Table 5') for line in lines)
    plain = format_report(*(measure()[0], {}, [VideoQAMetric()])).splitlines()
    assert ['qa', 'all', '5', '40.0'] in [line.split() for line in plain]


def test_out_keeps_every_prediction_beside_its_truth(tmp_path, capsys):
    metrics, metric = measure()

    class Loop(BaseLoop):
        evaluator = Evaluator([metric])
        protocol = {'mode': 'generate', 'prompt': 'Question: {question} Short answer:'}
        run = __init__ = lambda self: None

    report_test(Loop(), metrics, {'checkpoint': 'none.pth'}, {}, str(tmp_path / 'o.json'))
    result = json.loads((tmp_path / 'o.json').read_text())
    assert [(row['prediction'], row['answers'], row['right']) for row in result['predictions']][2:4] == [
        ('boy', ['man', 'boy'], True),
        ('two', ['2'], False),
    ]
    assert result['protocol']['prompt'].startswith('Question') and result['metrics'] == metrics
    assert 'The dog.' not in capsys.readouterr().out


def test_wrong_options_and_files_are_named(tmp_path):
    with pytest.raises(ValueError, match=r"normalisation='basics'.*'basic'"):
        VideoQAMetric(normalisation='basics')
    with pytest.raises(ValueError, match=r'none\.txt.*build_answers'):
        VideoQAMetric(vocabulary=str(tmp_path / 'none.txt'))
    (tmp_path / 'empty.txt').write_text('\n \n')
    with pytest.raises(ValueError, match=r'empty\.txt.* has 0 answers.*build_answers'):
        VideoQAMetric(vocabulary=str(tmp_path / 'empty.txt'))
    with pytest.raises(UserError, match='msvd_qa/stgt'):
        VideoQAMetric(paper_row='msvd_qa/stgt')
    with pytest.raises(ValueError, match='no question was answered'):
        VideoQAMetric().evaluate(0)
