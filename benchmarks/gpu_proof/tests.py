"""The tests marked ``gpu``."""

import os
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator

from gpu_proof.common import ROOT, Setting, Table, run_part


def measure(setting: Setting) -> Iterator[Table]:
    """Runs pytest, without a card on the CPU, and lists every test."""
    report = setting.folder / 'report.xml'
    command = [sys.executable, '-m', 'pytest', '-q', '-m', 'gpu', 'tests/gpu', f'--junitxml={report}']
    if setting.reduced:
        command += ['-k', 'neither']
    environment = {**os.environ, 'STGT_TEST_DEVICE': setting.device.type}
    subprocess.run(command, cwd=ROOT, env=environment, check=False)
    rows = []
    for case in ElementTree.parse(report).getroot().iter('testcase'):
        outcome = next(
            (kind for kind in ('failure', 'error', 'skipped') if case.find(kind) is not None), 'passed'
        )
        message = (
            '' if outcome == 'passed' else (case.find(outcome).get('message') or '').splitlines()[0][:120]
        )
        rows.append([case.get('name'), outcome, float(case.get('time') or 0), message])
    passed = sum(row[1] == 'passed' for row in rows)
    yield Table(f'{passed} of {len(rows)} tests pass', ['test', 'outcome', 's', 'message'], rows)
    if failed := [row[0] for row in rows if row[1] in ('failure', 'error')]:
        raise SystemExit(f'failed: {failed}')


if __name__ == '__main__':
    run_part(measure)
