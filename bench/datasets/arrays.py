"""What an array of a task holds: integers or floats, as its space says.

Coordinates of a room and numbers of actions are integers; what a robot feels and does are floats.
"""

from __future__ import annotations

from typing import Any, TypeAlias

from numpy.typing import NDArray

States: TypeAlias = NDArray[Any]
Actions: TypeAlias = NDArray[Any]
Numbers: TypeAlias = NDArray[Any]
