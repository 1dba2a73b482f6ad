#!/usr/bin/env bash
# Makes .venv and runs every check: lint, docstrings, tests. Arguments go to pytest (bash tools/run_tests.sh -k graph).
# With --oldest as the first: only the tests of what depends on torch, torchvision and transformers, in the oldest
# versions of these that are supported (requirements/oldest.txt), which are put beside .venv into .venv-oldest.
source "$(dirname "${BASH_SOURCE[0]}")/setup_env.sh"
if [ "${1:-}" = --oldest ]; then
    shift
    OLDEST="$ROOT/.venv-oldest"
    # of .venv too, whose other packages it stands on
    OLDEST_STAMP="$OLDEST/$(basename "$STAMP")"
    if [ ! -f "$OLDEST_STAMP" ]; then
        rm -rf "$OLDEST"
        # torch without CUDA's libraries, which are gigabytes: to be imported, those of .venv will do
        grep ^torch requirements/oldest.txt | xargs python -m pip install --quiet --no-compile --no-deps \
            --target "$OLDEST" ${STGT_TORCH_INDEX:+--index-url "$STGT_TORCH_INDEX"}
        grep ^transformers requirements/oldest.txt | xargs python -m pip install --quiet --no-compile --upgrade \
            --target "$OLDEST"
        SITE="$(python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')"
        [ ! -d "$SITE/nvidia" ] || ln -sfn "$SITE/nvidia" "$OLDEST/nvidia"
        touch "$OLDEST_STAMP"
    fi
    export PYTHONPATH="$OLDEST${PYTHONPATH:+:$PYTHONPATH}"
    python - <<'END'
import torch, torchvision, transformers
found = {m.__name__: m.__version__.split('+')[0] for m in (torch, torchvision, transformers)}
wanted = dict(line.strip().split('==') for line in open('requirements/oldest.txt') if '==' in line)
assert found == wanted, f'{found} are imported, not {wanted}'
END
    [ $# -gt 0 ] || set -- tests/functional tests/models/test_graph_attention.py tests/models/test_video_text_aligner.py \
        tests/models/test_timm_vit.py tests/models/test_dual_encoder.py tests/parity/test_bert.py tests/parity/test_hf_blip2.py \
        'tests/test_configs.py::test_config_trains_and_tests_at_reduced_size[configs/moving_shapes/stgt_tiny.py]'
    exec python -m pytest -q "$@"
fi
if [ $# -eq 0 ]; then
    ruff check .
    ruff format --check .
    pydoclint --quiet stgt_mm tools demo
    # each process takes its share from the front, what others left undone from the end: files stay together
    set -- --numprocesses logical --maxprocesses 4 --dist worksteal
fi
python -m pytest -q "$@"
