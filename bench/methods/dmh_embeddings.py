"""How DM-H's modules embed what they read (arXiv 2406.00079, Section 4): a linear map, then LayerNorm."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn


class Embeddings(nn.Module):
    """A map of each modality to the width, and a LayerNorm: one a modality, or one that all `share`.

    `maps`: what takes a modality's values (..., features) to (..., width), by name.
    """

    def __init__(self, maps: Mapping[str, nn.Module], width: int, share: bool) -> None:
        super().__init__()
        self.maps = nn.ModuleDict(maps)
        self.norm = nn.LayerNorm(width) if share else None
        self.norms = nn.ModuleDict({} if share else {name: nn.LayerNorm(width) for name in maps})

    def forward(self, modality: str, values: Tensor, time: Tensor | None = None) -> Tensor:
        """Embed values of a modality; `time` (..., width) is added before the norm."""
        mapped = self.maps[modality](values)
        norm = self.norms[modality] if self.norm is None else self.norm
        embedded: Tensor = norm(mapped if time is None else mapped + time)
        return embedded

    def chain(self, modality: str) -> nn.Sequential:
        """The map and the norm of a modality, where no time is added between them."""
        return nn.Sequential(self.maps[modality], self.norms[modality] if self.norm is None else self.norm)
