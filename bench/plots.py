"""Line charts on logarithmic axes as SVG, legible on light and on dark: text in, text out."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TypeAlias

__all__ = ["Points", "chart", "short"]

Points: TypeAlias = Sequence[tuple[float, float]]

WIDTH, HEIGHT = 640, 380
LEFT, RIGHT, TOP, BOTTOM = 78, 18, 44, 58

STYLE = """
text { font: 13px system-ui, sans-serif; fill: #24292f }
.title { font-size: 15px; font-weight: 600 }
.grid { stroke: #d0d7de; stroke-width: 1 }
.l0 { stroke: #0969da } .l1 { stroke: #bc4c00 } .l2 { stroke: #1a7f37 }
.l0, .l1, .l2 { fill: none; stroke-width: 2 }
.l1 { stroke-dasharray: 6 4 } .l2 { stroke-dasharray: 2 3 }
.d0 { fill: #0969da } .d1 { fill: #bc4c00 } .d2 { fill: #1a7f37 }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3 } .grid { stroke: #3d444d }
.l0 { stroke: #58a6ff } .l1 { stroke: #f0883e } .l2 { stroke: #3fb950 }
.d0 { fill: #58a6ff } .d1 { fill: #f0883e } .d2 { fill: #3fb950 }
}
"""


def chart(title: str, x_label: str, y_label: str, lines: Mapping[str, Points]) -> str:
    """Draw up to three named lines of positive points; both axes are logarithmic."""
    xs = _decades([x for points in lines.values() for x, _ in points])
    ys = _decades([y for points in lines.values() for _, y in points])

    def place(x: float, y: float) -> tuple[float, float]:
        return (
            round(LEFT + (WIDTH - LEFT - RIGHT) * _share(x, xs), 1),
            round(HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * _share(y, ys), 1),
        )

    parts = [f'<text class="title" x="{LEFT}" y="20">{_escaped(title)}</text>']
    for power in range(xs[0], xs[1] + 1):
        x, y = place(10.0**power, 10.0 ** ys[0])
        parts.append(f'<line class="grid" x1="{x}" y1="{TOP}" x2="{x}" y2="{y}"/>')
        parts.append(f'<text x="{x}" y="{y + 18}" text-anchor="middle">{short(10.0**power)}</text>')
    for power in range(ys[0], ys[1] + 1):
        x, y = place(10.0 ** xs[0], 10.0**power)
        parts.append(f'<line class="grid" x1="{x}" y1="{y}" x2="{WIDTH - RIGHT}" y2="{y}"/>')
        parts.append(f'<text x="{x - 8}" y="{y + 4}" text-anchor="end">{short(10.0**power)}</text>')
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts.append(f'<text x="{middle}" y="{HEIGHT - 14}" text-anchor="middle">{_escaped(x_label)}</text>')
    centre = (TOP + HEIGHT - BOTTOM) / 2
    turned = f'<text x="18" y="{centre}" text-anchor="middle" transform="rotate(-90 18 {centre})">'
    parts.append(f"{turned}{_escaped(y_label)}</text>")
    for number, (name, points) in enumerate(lines.items()):
        at = [place(*point) for point in points]
        parts.append(f'<polyline class="l{number}" points="{" ".join([f"{x},{y}" for x, y in at])}"/>')
        parts += [f'<circle class="d{number}" cx="{x}" cy="{y}" r="3.5"/>' for x, y in at]
        key = LEFT + 8 + 170 * number
        parts.append(f'<line class="l{number}" x1="{key}" y1="34" x2="{key + 26}" y2="34"/>')
        parts.append(f'<text x="{key + 32}" y="38">{_escaped(name)}</text>')
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">'
    return "\n".join([head, f"<title>{_escaped(title)}</title>", f"<style>{STYLE}</style>", *parts, "</svg>", ""])


def short(number: float) -> str:
    """A number as an axis says it: 0.01, 1, 10k, 10M."""
    for size, letter in ((1e6, "M"), (1e3, "k")):
        if number >= size:
            return f"{number / size:g}{letter}"
    return f"{number:g}"


def _decades(values: Sequence[float]) -> tuple[int, int]:
    """The powers of ten around them."""
    low, high = math.floor(math.log10(min(values)) + 1e-9), math.ceil(math.log10(max(values)) - 1e-9)
    return low, max(high, low + 1)


def _share(value: float, decades: tuple[int, int]) -> float:
    low, high = decades
    return (math.log10(value) - low) / (high - low)


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
