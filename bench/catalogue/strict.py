"""The base of every model of a file, the types of names and values, and errors with a whole message."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError

from bench.errors import SpecError

Value = bool | int | float | str
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]*$")]
OptionName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
# The type of a validation error whose message is whole: it names the key itself.
SAID = "said"


class Strict(BaseModel):
    """Base of every model: unknown keys are errors, instances do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def said(error: SpecError) -> PydanticCustomError:
    """The error as a validator may raise it; its message is shown as it stands."""
    return PydanticCustomError(SAID, "{said}", {"said": str(error)})
