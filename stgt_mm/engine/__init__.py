"""Running things: the runner, loops, hooks, optimizer pieces and schedules.

Nothing is imported here, so that the command-line tools can set the environment before torch loads; the
registries look components up in the modules themselves.
"""
