"""A Ray of two workers on this machine, which thinks that there is a GPU."""

import os
import sys
from contextlib import contextmanager

import pytest


@contextmanager
def two_workers():
    ray = pytest.importorskip('ray', reason='RAY NOT TESTED: pip install ray')
    # workers import modules of the tests; a busy machine takes long to start them
    settings = {'PYTHONPATH': os.pathsep.join(sys.path), 'RAY_raylet_start_wait_time_s': '120'}
    with pytest.MonkeyPatch.context() as patched:
        for name, value in settings.items():
            patched.setenv(name, value)
        ray.init(address='local', num_cpus=2, num_gpus=1, log_to_driver=False, include_dashboard=False)
        yield
        ray.shutdown()
