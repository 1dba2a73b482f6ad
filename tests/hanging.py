"""Work that never ends and that no signal handler of Python interrupts."""

import re


def hang_with_the_lock_held():
    """Backtracks for years inside one call of C code: no signal handler of Python ever runs."""
    re.match(r'(a+)+$', 'a' * 60 + 'b')
