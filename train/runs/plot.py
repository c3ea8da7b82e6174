"""Losses drawn as SVG, without script and without any library."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from curate.views.page import Markup, element

WIDTH, HEIGHT = 960, 320
LEFT, RIGHT, TOP, BOTTOM = 56, 12, 10, 28
MOST_POINTS = 1200
SMOOTHING = 0.9
SMOOTH_FROM = 30
"""Points from which a smoothed line is drawn over the measured one."""
Points = Sequence[tuple[int, float]]


@dataclass(frozen=True, slots=True)
class Curve:
    """A line of the plot: its name, its points (step, loss) in order, its class in the style."""

    name: str
    points: Points
    style: str


@dataclass(frozen=True, slots=True)
class Frame:
    """The values at the plot's edges."""

    first: float
    last: float
    low: float
    high: float

    def x(self, step: float) -> float:
        """Where a step lies."""
        return LEFT + (step - self.first) / (self.last - self.first) * (WIDTH - LEFT - RIGHT)

    def y(self, loss: float) -> float:
        """Where a loss lies."""
        return TOP + (self.high - loss) / (self.high - self.low) * (HEIGHT - TOP - BOTTOM)


def plot(curves: Sequence[Curve], label: str) -> Markup:
    """A picture of curves with axes; empty where no curve has a finite point."""
    drawn = [Curve(curve.name, finite(curve.points), curve.style) for curve in curves]
    drawn = [curve for curve in drawn if curve.points]
    if not drawn:
        return Markup()
    frame = frame_of([point for curve in drawn for point in curve.points])
    parts = [*axes(frame)]
    for curve in drawn:
        parts += lines(curve, frame)
    box = {"class": "curves", "viewBox": f"0 0 {WIDTH} {HEIGHT}", "role": "img", "aria-label": label}
    return element("svg", box, *parts)


def finite(points: Points) -> Points:
    """Points that can be drawn."""
    return [(step, loss) for step, loss in points if math.isfinite(loss)]


def frame_of(points: Points) -> Frame:
    """Edges around all points; a single value gets some room."""
    steps, losses = [step for step, _ in points], [loss for _, loss in points]
    first, last, low, high = min(steps), max(steps), min(losses), max(losses)
    room = (high - low) * 0.05 or abs(high) * 0.05 or 1.0
    return Frame(first, last if last > first else first + 1, low - room, high + room)


def lines(curve: Curve, frame: Frame) -> list[Markup]:
    """A curve's line; a smoothed one over it where there are many points; a mark for a single point."""
    if len(curve.points) == 1:
        step, loss = curve.points[0]
        dot = {"class": curve.style, "cx": f"{frame.x(step):.1f}", "cy": f"{frame.y(loss):.1f}", "r": 3}
        return [element("circle", dot, element("title", {}, curve.name))]
    many = len(curve.points) >= SMOOTH_FROM
    found = [line(thinned(curve.points), frame, f"{curve.style} measured" if many else curve.style, curve.name)]
    if many:
        found.append(line(thinned(smoothed(curve.points)), frame, curve.style, f"{curve.name}, smoothed"))
    return found


def line(points: Points, frame: Frame, style: str, name: str) -> Markup:
    """One line."""
    path = " ".join(f"{frame.x(step):.1f},{frame.y(loss):.1f}" for step, loss in points)
    return element("polyline", {"class": style, "points": path}, element("title", {}, name))


def smoothed(points: Points) -> Points:
    """The moving average with weights that fall by SMOOTHING each point, its start made up for (as in TensorBoard)."""
    found, mean, weight = [], 0.0, 0.0
    for step, loss in points:
        mean = SMOOTHING * mean + (1 - SMOOTHING) * loss
        weight = SMOOTHING * weight + (1 - SMOOTHING)
        found.append((step, mean / weight))
    return found


def thinned(points: Points) -> Points:
    """At most MOST_POINTS: of each stretch the lowest and the highest, so that no spike is lost."""
    if len(points) <= MOST_POINTS:
        return points
    stretches = MOST_POINTS // 2
    kept: list[tuple[int, float]] = []
    for number in range(stretches):
        part = points[number * len(points) // stretches : (number + 1) * len(points) // stretches]
        kept += sorted({min(part, key=lambda point: point[1]), max(part, key=lambda point: point[1])})
    return kept


def axes(frame: Frame) -> list[Markup]:
    """Lines and numbers of both axes."""
    parts = []
    for loss in ticks(frame.low, frame.high):
        y = f"{frame.y(loss):.1f}"
        parts.append(element("line", {"class": "grid", "x1": LEFT, "x2": WIDTH - RIGHT, "y1": y, "y2": y}))
        place = {"x": LEFT - 8, "y": y, "text-anchor": "end", "dominant-baseline": "middle"}
        parts.append(element("text", place, f"{loss:.6g}"))
    for step in ticks(frame.first, frame.last):
        if step == int(step):
            place = {"x": f"{frame.x(step):.1f}", "y": HEIGHT - 8, "text-anchor": "middle"}
            parts.append(element("text", place, f"{step:.0f}"))
    return parts


def ticks(low: float, high: float, most: int = 6) -> list[float]:
    """Round numbers between two values: steps of 1, 2 or 5 times a power of ten."""
    rough = (high - low) / most
    if not math.isfinite(rough) or rough <= 0:
        return []
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(each * power for each in (1, 2, 5, 10) if each * power >= rough)
    first = math.ceil(low / step)
    return [number * step for number in range(first, first + most + 2) if number * step <= high]
