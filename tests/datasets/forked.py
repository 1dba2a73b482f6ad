"""Work done by several processes at the same time."""

import multiprocessing


def in_processes(count, work, *args):
    """Runs ``work(*args)`` in forked processes that begin at the same time; their exit codes."""
    context = multiprocessing.get_context('fork')
    start = context.Barrier(count)

    def run():
        start.wait()
        work(*args)

    processes = [context.Process(target=run) for _ in range(count)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    return [process.exitcode for process in processes]
