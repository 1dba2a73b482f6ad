"""The base of heads that divide cosines: a temperature that is learnt within a range."""

import torch
from torch import Tensor, nn


class TemperatureHead(nn.Module):
    """Base of heads with a learnable divisor of cosines; a subclass calls ``add_temperature``."""

    def add_temperature(self, start: float, allowed: tuple[float, float]) -> None:
        """Adds ``temp``, which stays in a range (lowest, highest); a ValueError if it starts outside."""
        low, high = allowed
        if not 0 < low <= start <= high:
            raise ValueError(f'temperature must lie in its range ({low}, {high}), got {start}.')
        self.temp = nn.Parameter(torch.tensor(float(start)))
        self.temperature_range = (low, high)

    @property
    def temperature(self) -> Tensor:
        """The divisor of the cosines within its range, 0-d.

        The value is clamped, the gradient is not: a parameter at the border can always come back.
        """
        return self.temp + (self.temp.clamp(*self.temperature_range) - self.temp).detach()

    @torch.no_grad()
    def clamp_temperature(self) -> None:
        """Brings the parameter itself back into its range."""
        self.temp.clamp_(*self.temperature_range)
