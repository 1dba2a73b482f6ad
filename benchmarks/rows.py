"""A variant of a model that is compared with others."""

from dataclasses import dataclass

CSAL = '+csal'


@dataclass(frozen=True)
class Row:
    """A variant: its name in the table, and ``KEY=VALUE`` settings.

    ``+csal`` among them keeps the objectives of the config's stages; without it all stages train VTC. A path
    of a config among them takes the place of the comparison's.
    """

    name: str
    options: tuple[str, ...] = ()

    @property
    def config(self) -> str | None:
        """The config that is this row's own."""
        return next((own for own in self.options if own.endswith('.py') and '=' not in own), None)

    @property
    def slug(self) -> str:
        """The name as a folder."""
        return '_'.join(''.join(c if c.isalnum() or c in '.-' else ' ' for c in self.name).split())
