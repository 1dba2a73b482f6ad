"""Tables of measured numbers with the paper's row beside them: recall, caption choice, answers, any task."""

from typing import Any, NamedTuple

from stgt_mm.evaluation.paper_rows import PaperRow

Groups = dict[str, dict[str, float]]

DIRECTIONS = {'t2v': 'text -> video', 'v2t': 'video -> text'}
LABELS = {'R1': 'R@1', 'R5': 'R@5', 'R10': 'R@10', 'Rmean': 'R-mean'}


class Table(NamedTuple):
    """A table of a report.

    A metric brings its own as ``table``, a function of (groups, protocol, paper_row), where groups are the
    numbers ``<group>/<name>`` that no table before it has shown.
    """

    shown: set[str]  # the groups that stand in it; without any it is left out
    rows: list[list[str]]  # cells, the header first; the first two columns are words
    notes: list[str]  # lines below it


def recall_table(groups: Groups, protocol: dict[str, Any], paper_row: PaperRow | None = None) -> Table:
    """Shows retrieval, a row a ranking, the paper's below the measured one of its direction."""
    rankings = {name: values for name, values in groups.items() if 'Rmean' in values}
    columns = list(next(iter(rankings.values()), ()))
    rows = [['', 'score', *(LABELS.get(name, name) for name in columns)]]
    processors = protocol.get('post_processing', {})
    for name, values in rankings.items():
        score = str(protocol.get('score_fusion', 'fused'))
        if name.startswith('sim_') or score == 'itc':
            score = 'similarity'
        # 'sim_v2t_dsl_videos': direction, post-processor, gallery
        direction, *suffixes = name.removeprefix('sim_').split('_')
        score = ' + '.join([score, *(suffix for suffix in suffixes if suffix in processors)])
        gallery = ' '.join(suffix for suffix in suffixes if suffix not in processors)
        label = DIRECTIONS.get(direction, name) + (f' ({gallery})' if gallery else '')
        cells = [f'{values[c]:.2f}' if c in ('MdR', 'MnR') else f'{values[c]:.1f}' for c in columns]
        rows.append([label, score, *cells])
        if name == direction and paper_row is not None and direction in paper_row.values:
            rows.append([label, 'paper', *_paper_cells(paper_row, direction, columns)])
    notes = [f'{name}: {note}' for name, note in processors.items()]
    return Table(set(rankings), rows, notes + _paper_notes(paper_row))


def caption_choice_table(
    groups: Groups, protocol: dict[str, Any], paper_row: PaperRow | None = None
) -> Table:
    """Shows caption choices by kind, by similarity and re-ranked; the paper has none."""
    rows = [['choice', 'kind', 'similarity', 're-ranked']]
    names = [name for name in protocol.get('choices', {}) if name in groups]
    for name in names:
        fused = groups.get(f'fused_{name}', {})
        for kind, value in groups[name].items():
            number = f'{value:.0f}' if kind == 'skipped' else f'{value:.1f}'
            rows.append([name, kind, number, f'{fused[kind]:.1f}' if kind in fused else '-'])
    return Table({*names, *(f'fused_{name}' for name in names)}, rows, [])


def answer_table(groups: Groups, protocol: dict[str, Any], paper_row: PaperRow | None = None) -> Table:
    """Shows accuracies of answers by type of question, with counts; the paper has the overall one."""
    names = [name for name in groups if f'{name}/questions' in groups]
    printed = {} if paper_row is None else paper_row.values
    rows = [['', 'question', 'number', 'accuracy', *(['paper'] if printed else [])]]
    notes = []
    for name in names:
        values, counts = groups[name], groups[f'{name}/questions']
        for kind, count in counts.items():
            number = 'accuracy' if kind == 'all' else kind
            paper = [str(printed.get(name, {}).get(number, '-'))] if printed else []
            rows.append([name, kind, f'{count:.0f}', f'{values[number]:.1f}', *paper])
        if 'unknown_answers' in values:
            notes.append(
                f'{name}: {values["unknown_answers"]:.1f}% of the questions have no answer in the '
                'vocabulary and count as wrong'
            )
    shown = {*names, *(f'{name}/questions' for name in names)}
    return Table(shown, rows, notes + _paper_notes(paper_row if names else None))


def action_table(
    groups: Groups, by_action: dict[str, tuple[float, int]], paper_row: PaperRow | None = None
) -> Table:
    """Shows accuracies over videos and over actions, then each action (percent, videos), the worst first."""
    names = [name for name, values in groups.items() if 'mean_class' in values]
    printed = {} if paper_row is None else paper_row.values
    rows = [['', 'action', 'videos', 'accuracy', *(['paper'] if printed else [])]]
    for name in names:
        values = groups[name]
        for key, label in (('top1', 'all, top 1'), ('top5', 'all, top 5'), ('mean_class', 'mean of actions')):
            paper = [str(printed.get(name, {}).get(key, '-'))] if printed else []
            rows.append([name, label, f'{values["videos"]:.0f}', f'{values[key]:.1f}', *paper])
        for label, (value, count) in sorted(by_action.items(), key=lambda item: item[1]):
            rows.append([name, label, str(count), f'{value:.1f}', *(['-'] if printed else [])])
    return Table(set(names), rows, _paper_notes(paper_row if names else None))


def value_table(groups: Groups, protocol: dict[str, Any], paper_row: PaperRow | None = None) -> Table:
    """Shows the numbers of any task, a row each: ``qa/accuracy``, ``qa/what``, ``action/top1``."""
    fits = paper_row is not None and not groups.keys().isdisjoint(paper_row.values)
    printed = paper_row.values if fits else {}
    rows = [['', '', 'measured', *(['paper'] if printed else [])]]
    for group, values in groups.items():
        for name, value in values.items():
            paper = [str(printed.get(group, {}).get(name, '-'))] if printed else []
            rows.append([group, name, f'{value:.1f}', *paper])
    return Table(set(groups), rows, _paper_notes(paper_row if fits else None))


def aligned(rows: list[list[str]]) -> list[str]:
    """Lays out rows as lines: two columns of words, the others flush right, a rule below the header."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [f'{cell:<{w}}' if i < 2 else f'{cell:>{w}}' for i, (cell, w) in enumerate(zip(row, widths))]
        lines.append('  '.join(cells).rstrip())
    lines.insert(1, '-' * max(map(len, lines)))
    return lines


def _paper_cells(row: PaperRow, direction: str, columns: list[str]) -> list[str]:
    printed, computed = row.values[direction], row.recomputed(direction)
    cells = [str(printed.get(column, '-')) for column in columns]
    if computed is not None and 'Rmean' in columns:
        mark = '' if row.follows(direction) else '!'
        cells[columns.index('Rmean')] = f'{mark}{computed:.2f}'
    return cells


def _paper_notes(row: PaperRow | None) -> list[str]:
    if row is None:
        return []
    where = ', '.join(part for part in (row.table, row.setting) if part)
    return [
        f'paper: row {row.key}' + (f' ({where})' if where else ''),
        *(f'paper: ! {flag}' for flag in row.flags()),
    ]
