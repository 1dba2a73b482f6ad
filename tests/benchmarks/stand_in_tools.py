"""Quick stand-ins for tools/train.py and tools/test.py: their numbers follow from their options."""

TRAIN = """
import json, pathlib, sys
options = dict(arg.split('=', 1) for arg in sys.argv if '=' in arg)
folder = pathlib.Path(sys.argv[sys.argv.index('--work-dir') + 1])
if 'fail' in options.get('experiment_name', ''):
    sys.exit('no such luck')
steps = int(folder.name.split('_')[0]) if '_steps_' in folder.name else 1
time = 0.01 if options.get('model.neck.type') == 'MeanPoolNeck' else 0.04
with open(folder / 'metrics.jsonl', 'w') as log:
    for step in range(1, steps + 1):
        line = {'step': step, 'epoch': 1, 'time': 3 * time, 'data_time': 0.0, 'cpu_time': time, 'loss': 1.0}
        log.write(json.dumps(line) + '\\n')
with open(folder.parent / 'trained.txt', 'a') as file:
    file.write(f'{folder.name}\\n')
"""
TEST = """
import json, pathlib, sys
options = dict(arg.split('=', 1) for arg in sys.argv if '=' in arg)
h = float(options.get('model.neck.test_similarity_threshold', 0.5))
score = 100 * h + int(options.get('randomness.seed', 0)) * 2 + float(options.get('model.neck.num_layers', 1))
names = ('t2v/R1', 't2v/Rmean', 'v2t/Rmean', 'backwards/accuracy', 'one_fact/turn')
paper = {'key': 'row', 'table': 'Table 2', 't2v': {'Rmean': 49.67}}
result = {'metrics': {name: score for name in names}, 'protocol': {}, 'paper': paper}
out = pathlib.Path(sys.argv[sys.argv.index('--out') + 1])
out.write_text(json.dumps(result))
"""


def make_tools(folder):
    """Writes both into a folder."""
    folder.mkdir()
    (folder / 'train.py').write_text(TRAIN)
    (folder / 'test.py').write_text(TEST)
    return folder
