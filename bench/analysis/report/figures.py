"""A figure as a report shows it: its picture's size, and what is seen in it, in words."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from bench.analysis.kinds import figure_layout
from bench.analysis.report.numbers import Number
from bench.errors import UserError
from bench.work.renderings import Rendering
from bench.work.reporting import image_of


@dataclass(frozen=True)
class Picture:
    """A picture in the report's folder, in pixels, and its text for who does not see it."""

    path: str
    width: int
    height: int
    text: str


def picture_of(rendering: Rendering, numbers: list[Number]) -> Picture:
    """The picture of a figure; UserError where it is missing or is no picture."""
    path = rendering.outputs[1]
    try:
        head = path.read_bytes()[:24]
        signature, width, height = struct.unpack("!8s8x2I", head)
    except (FileNotFoundError, struct.error):
        signature, width, height = b"", 0, 0
    if signature != b"\x89PNG\r\n\x1a\n":
        raise UserError(
            f"{path}: missing, or no PNG file. Draw it again: snakemake {rendering.name} "
            f"--config tier={rendering.tier} --force"
        )
    rendering.checked(path)
    return Picture(image_of(rendering), width, height, describe(rendering, numbers))


def describe(rendering: Rendering, numbers: list[Number]) -> str:
    """The title, and what the figure's kind says is seen; or why there is nothing to see."""
    artifact = rendering.artifact
    ran = [(entry, number) for entry, number in zip(rendering.entries, numbers, strict=True) if number.ours]
    said = f"{artifact.printed}: {artifact.title}. "
    if not ran:
        return said + f"Empty: {'; '.join(dict.fromkeys(number.status for number in numbers))}."
    return said + figure_layout(artifact).describe([entry for entry, _ in ran])
