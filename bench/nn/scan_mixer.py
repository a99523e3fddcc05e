"""The bare selective scan as a mixer: what DeMa's "post up-projection" puts in the attention's place.

DeMa Section 4.2 draws the scan in a transformer block without saying what surrounds it. The authors' code
(gym/decision_transformer/models/trajectory_gpt2.py, `S6`) has a convolution, SiLU and the scan with its skip
D, at the width of the tokens: no projections, no gate and no expansion. Mixing across features is left to
the block's feed-forward layer.
"""

from __future__ import annotations

import math

from torch import Tensor

from bench.nn.mamba import STEP_MIN, SelectiveMixer


class ScanMixer(SelectiveMixer):
    """A causal convolution, SiLU and a selective scan of the tokens; (batch, length, width) to the same.

    dt_rank is ceil(width / 32), that of a Mamba mixer which would have as many channels. 7 width + width
    (2 dt_rank + 3 d_state) parameters with four taps. Raises ValueError as `SelectiveMixer` does.
    """

    # The authors' block drops out what its feed-forward layer adds, and nothing that the scan does.
    drops_out = False

    def __init__(
        self, width: int, d_state: int = 64, d_conv: int = 4, step_size_minimum: float = STEP_MIN
    ) -> None:
        super().__init__(width, width, d_state, d_conv, math.ceil(width / 32), step_size_minimum)

    def enter(self, x: Tensor) -> Tensor:
        """The tokens themselves."""
        return x

    def leave(self, y: Tensor) -> Tensor:
        """The scan's output itself."""
        return y
