"""Windows that cut a video into moments."""

from collections.abc import Sequence

Windows = tuple[float, float]  # seconds of a moment, and from one to the next


def check_windows(window_s: float | None, stride_s: float | None) -> Windows | None:
    """Returns window and stride, the window itself if it is not given; None for whole videos."""
    if window_s is None and stride_s is None:
        return None
    stride_s = window_s if stride_s is None else stride_s
    if window_s is None or not 0 < stride_s <= window_s:
        raise ValueError(
            f'window_s={window_s}, stride_s={stride_s}: 0 < stride_s <= window_s, or parts would be left out.'
        )
    return float(window_s), float(stride_s)


def cut(duration: float, windows: Windows) -> list[tuple[float, float]]:
    """Cuts a duration into (start, end) of equal length, in seconds; the last ends with it."""
    window, stride = windows
    if duration <= window:
        return [(0.0, duration)]
    starts, last = [], duration - window
    while len(starts) * stride < last:
        starts.append(len(starts) * stride)
    return [(start, start + window) for start in [*starts, last]]


def duration(times: Sequence[float]) -> float:
    """Returns how long frames last that are shown at ``times``, the last as long as the others on average."""
    return times[-1] + (times[-1] / (len(times) - 1) if len(times) > 1 else 0.0)
