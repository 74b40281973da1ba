"""The colours of charts stay apart for colour-blind eyes: neighbours in a column, and each of them beside "other"."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import pytest

from optiinfra_api.web import pages
from optiinfra_api.web.breakdown import COLOURS

STYLE = (Path(pages.__file__).parent / "static" / "site.css").read_text()
Colour = tuple[float, float, float]
Matrix = tuple[Colour, Colour, Colour]

# G. M. Machado, M. M. Oliveira, L. A. F. Fernandes: A Physiologically-based Model for Simulation of Color Vision Deficiency. IEEE
# Transactions on Visualization and Computer Graphics 15 (2009), table of severity 1.0; for linear RGB.
EYES: dict[str, Matrix] = {
    "usual": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "protanopia": ((0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216), (-0.003882, -0.048116, 1.051998)),
    "deuteranopia": ((0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413), (-0.011820, 0.042940, 0.968881)),
    "tritanopia": ((1.255528, -0.076749, -0.178779), (-0.078411, 0.930809, 0.147602), (0.004733, 0.691367, 0.303900)),
}
# B. Ottosson: A perceptual color space for image processing (2020), https://bottosson.github.io/posts/oklab/; from linear sRGB.
TO_LMS: Matrix = (
    (0.4122214708, 0.5363325363, 0.0514459929),
    (0.2119034982, 0.6806995451, 0.1073969566),
    (0.0883024619, 0.2817188376, 0.6299787005),
)
TO_LAB: Matrix = (
    (0.2104542553, 0.7936177850, -0.0040720468),
    (1.9779984951, -2.4285922050, 0.4505937099),
    (0.0259040371, 0.7827717662, -0.8086757660),
)
LEAST = 0.095
"""Distance in OKLab. Two patches side by side are told apart from about 0.02 on; these are thin, and are looked up in a legend."""


def _times(matrix: Matrix, colour: Colour) -> Colour:
    red, green, blue = (sum(a * b for a, b in zip(row, colour, strict=True)) for row in matrix)
    return red, green, blue


def _linear(code: str) -> Colour:
    """sRGB (IEC 61966-2-1) without its gamma."""
    red, green, blue = (int(code[at : at + 2], 16) / 255 for at in (1, 3, 5))
    found = [one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in (red, green, blue)]
    return found[0], found[1], found[2]


def _seen(code: str, eyes: str) -> Colour:
    """A colour in OKLab as these eyes see it."""
    red, green, blue = (min(1.0, max(0.0, one)) for one in _times(EYES[eyes], _linear(code)))
    long, medium, short = (one ** (1 / 3) for one in _times(TO_LMS, (red, green, blue)))
    return _times(TO_LAB, (long, medium, short))


def _apart(one: str, other: str, eyes: str) -> float:
    return sum((a - b) ** 2 for a, b in zip(_seen(one, eyes), _seen(other, eyes), strict=True)) ** 0.5


def palette(theme: str) -> list[str]:
    """ "Other" first, then the twelve colours in their order."""
    found = re.findall(r"--c(\d+): light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\)", STYLE)
    colours = {int(number): light if theme == "light" else dark for number, light, dark in found}
    return [colours[number] for number in range(COLOURS + 1)]


@pytest.mark.parametrize("eyes", EYES)
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_neighbours_and_other_are_told_apart(theme: str, eyes: str) -> None:
    other, *colours = palette(theme)
    pairs = [*pairwise(colours), *((other, one) for one in colours)]
    near = {f"{a} {b}": round(apart, 3) for a, b in pairs if (apart := _apart(a, b, eyes)) < LEAST}
    assert near == {}


def test_the_measure_knows_black_and_white_and_what_is_confused() -> None:
    assert _apart("#000000", "#ffffff", "usual") == pytest.approx(1, abs=0.001)
    assert _apart("#d7191c", "#1a9641", "usual") > 3 * _apart("#d7191c", "#1a9641", "deuteranopia")
