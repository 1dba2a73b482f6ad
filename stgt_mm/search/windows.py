"""How a video is cut into moments."""

from collections.abc import Sequence


def cut(duration: float, window_s: float, stride_s: float) -> list[tuple[float, float]]:
    """Cuts a duration into windows (start, end) of equal length, in seconds; the last ends with it.

    Example:
        >>> cut(10.0, 4.0, 4.0)
        [(0.0, 4.0), (4.0, 8.0), (6.0, 10.0)]
    """
    if duration <= window_s:
        return [(0.0, duration)]
    starts, last = [], duration - window_s
    while len(starts) * stride_s < last:
        starts.append(len(starts) * stride_s)
    return [(start, start + window_s) for start in [*starts, last]]


def check_windows(window_s: float | None, stride_s: float | None) -> tuple[float, float] | None:
    """Returns both in seconds, the stride being the window if it is not given; None for whole videos."""
    if window_s is None:
        if stride_s is not None:
            raise ValueError(f'stride_s={stride_s} needs a window_s.')
        return None
    stride_s = window_s if stride_s is None else stride_s
    if not 0 < stride_s <= window_s:
        raise ValueError(
            f'window_s={window_s}, stride_s={stride_s}: 0 < stride_s <= window_s, or parts would be left out.'
        )
    return float(window_s), float(stride_s)


def duration(times: Sequence[float]) -> float:
    """Returns how long frames last that are shown at ``times``, the last as long as the others on average."""
    return times[-1] + (times[-1] / (len(times) - 1) if len(times) > 1 else 0.0)
