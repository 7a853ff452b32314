"""Strokes of hand-drawn noughts and crosses, as lists of points.

A stroke is float64 [n, 2], x to the right and y down. A drawing is about 2 wide.
"""

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]


def chance(rng: np.random.Generator, probability: float) -> bool:
    """Return True with that probability."""
    return bool(rng.random() < probability)


def _bezier(points: list[tuple[float, float]], count: int = 48) -> Points:
    """Return points of a Bézier curve of any degree, [count, 2] (de Casteljau)."""
    t = np.linspace(0, 1, count)[:, None, None]
    level = np.broadcast_to(np.array(points, float), (count, len(points), 2))
    while level.shape[1] > 1:
        level = level[:, :-1] * (1 - t) + level[:, 1:] * t
    return level[:, 0]


def _unsteady(rng: np.random.Generator, stroke: Points, much: float) -> Points:
    """Add slow drift and a slight tremor to a stroke."""
    t = np.linspace(0, 1, len(stroke))
    drift = np.zeros_like(stroke)
    for waves in (1.0, 2.0, 3.0, 5.0, 9.0):
        phase = rng.uniform(0, 2 * np.pi, 2)
        drift += rng.normal(0, much / waves, 2) * np.sin(2 * np.pi * waves * t[:, None] + phase)
    return stroke + drift


def x(rng: np.random.Generator, *, cursive: bool = False) -> list[Points]:
    """Draw an X: two strokes, sometimes one stroke with a loop, or cursive: two arcs back to back, as in )(."""
    kind = "cursive" if cursive else rng.choice(["crossing", "cursive", "loop"], p=[0.76, 0.14, 0.10])
    much = rng.uniform(0.0, 0.05)
    if kind == "cursive":
        return [_unsteady(rng, half, much) for half in _arcs(rng)]
    ends = []
    for sign in (1.0, -1.0):
        angle = sign * np.deg2rad(np.clip(rng.normal(45, 9), 22, 68))
        along = np.array([np.cos(angle), np.sin(angle)])
        middle = rng.normal(0, 0.10, 2) + along * rng.normal(0, 0.12)
        reach = along * np.clip(rng.normal(1.15, 0.18), 0.7, 1.7)
        ends.append((middle - reach, middle + reach, np.array([-along[1], along[0]])))
    if kind == "loop":
        (first, second, _), (third, fourth, _) = ends  # top left to bottom right, loop, bottom left to top right
        out = rng.uniform(0.2, 0.7)
        one_way = [first, second, second + (second - first) * out, third + (third - fourth) * out, third, fourth]
        other_way = [first, second, second + (second - first) * out, fourth + (fourth - third) * out, fourth, third]
        corner = one_way if chance(rng, 0.5) else other_way
        pieces = [_bezier(corner[:2], 24), _bezier(corner[1:5], 24), _bezier(corner[4:], 24)]
        return [_unsteady(rng, np.concatenate([pieces[0], pieces[1][1:], pieces[2][1:]]), much)]
    strokes = []
    for start, end, across in ends:
        bend = across * rng.normal(0, 0.15)
        turn = across * rng.normal(0, 0.12)
        stroke = _bezier([start, start * 0.65 + end * 0.35 + bend + turn, start * 0.35 + end * 0.65 + bend - turn, end])
        if chance(rng, 0.15):  # a hook where the pen touches or leaves the paper
            back = -0.25 * (end - start) * rng.uniform(0.2, 0.7) + across * rng.normal(0, 0.25)
            stroke = np.concatenate([stroke, _bezier([end, end + 0.1 * (end - start), end + back], 12)[1:]])
        strokes.append(_unsteady(rng, stroke, much))
    return strokes


def _arcs(rng: np.random.Generator) -> list[Points]:
    """Return the halves of a cursive X, which cross, touch or leave a gap, sometimes with curled ends."""
    gap, depth = np.clip(rng.normal(0.0, 0.09), -0.25, 0.16), rng.uniform(0.5, 1.0)
    curled = rng.uniform(0.1, 0.5) if chance(rng, 0.4) else 0.0
    halves = []
    for side in (-1.0, 1.0):
        middle = side * gap - side * depth / 3  # a control point; the curve reaches about side * gap
        top, bottom = rng.normal(-1.0, 0.08), rng.normal(1.0, 0.08)
        ends = [(side * depth, top), (side * depth, bottom)]
        half = _bezier([ends[0], (middle, top * 0.45), (middle, bottom * 0.45), ends[1]])
        curls = [
            _bezier(
                [(side * (depth + curled), y * (1 - curled)), (side * (depth + curled), y * 1.05), (side * depth, y)],
                12,
            )
            for _, y in ends
        ]
        halves.append(np.concatenate([curls[0][:-1], half, curls[1][-2::-1]]) if curled else half)
    return halves


def _ribbon(rng: np.random.Generator) -> Points:
    """Return an O whose ends cross and stay open, as in α."""
    out, apart, tall = rng.uniform(0.75, 1.25), rng.uniform(0.15, 0.8), rng.uniform(1.3, 2.0)
    near, far = rng.uniform(0.1, 0.5), rng.uniform(-2.4, -1.7)
    stroke = _bezier([(out, -apart), (near, tall), (far, tall), (far, -tall), (near, -tall), (out, apart)], 72)
    turn = rng.choice([0.0, -np.pi / 2, rng.uniform(0, 2 * np.pi)], p=[0.45, 0.3, 0.25])  # ends right, up or anywhere
    turned: Points = stroke @ np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    return turned


def o(rng: np.random.Generator, *, cursive: bool = False) -> list[Points]:
    """Draw an O: a loop that is closed, open or overlapping, sometimes two halves, or cursive: with ends as in α."""
    much = rng.uniform(0.0, 0.06)
    if cursive or chance(rng, 0.12):
        return [_unsteady(rng, _ribbon(rng), much)]
    start = rng.normal(-np.pi / 2, 0.9) if chance(rng, 0.8) else rng.uniform(0, 2 * np.pi)
    if chance(rng, 0.08):
        gaps = rng.normal(0.0, 0.25, 2)
        arcs = [(start + half * np.pi + gaps[half], start + (half + 1) * np.pi) for half in (0, 1)]
        lefts = rng.normal(0, 0.06, (2, 2))
    else:
        excess = rng.choice([rng.normal(5, 14), rng.normal(0, 30), rng.uniform(20, 200)], p=[0.55, 0.3, 0.15])
        arcs = [(start, start + 2 * np.pi + np.deg2rad(max(float(excess), -75.0)))]
        lefts = np.zeros((1, 2))
    direction = rng.choice([-1.0, 1.0])
    spiral = rng.normal(0, 0.10)
    corners = np.exp(rng.normal(np.log(2), 0.2))  # below 2 a lozenge, above 2 a rounded square
    point = rng.uniform(0.1, 0.5) if chance(rng, 0.3) else 0.0  # a corner where the stroke starts
    bumps = [(waves, rng.normal(0, 0.10 / waves), rng.uniform(0, 2 * np.pi)) for waves in (2, 3, 4)]
    strokes = []
    for (begin, end), left in zip(arcs, lefts, strict=True):
        angle = np.linspace(begin, end, 72)
        radius = (np.abs(np.cos(angle)) ** corners + np.abs(np.sin(angle)) ** corners) ** (-1 / corners)
        radius = radius + spiral * (angle - begin) / (2 * np.pi)
        radius = radius + point * np.exp(-((np.angle(np.exp(1j * (angle - start))) / 0.35) ** 2))
        for waves, height, phase in bumps:
            radius = radius + height * np.sin(waves * angle + phase)
        stroke = np.stack([radius * np.cos(direction * angle), radius * np.sin(direction * angle)], axis=1) + left
        if chance(rng, 0.25):  # a tail inward or outward
            away = stroke[-1] * rng.uniform(-0.6, 0.5) + (stroke[-1] - stroke[-4]) * rng.uniform(0, 2)
            stroke = np.concatenate(
                [stroke, _bezier([stroke[-1], 2 * stroke[-1] - stroke[-3], stroke[-1] + away], 10)[1:]]
            )
        strokes.append(_unsteady(rng, stroke, much))
    return strokes


def distort(rng: np.random.Generator, strokes: list[Points]) -> list[Points]:
    """Stretch, slant and rotate a drawing, and scale it to -1…1."""
    stretch = np.exp(rng.normal(0, 0.22))
    slant = rng.normal(0, 0.25)
    turn = np.deg2rad(np.clip(rng.normal(0, 14), -40, 40))
    matrix = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]) @ np.array(
        [[stretch, slant], [0, 1 / stretch]]
    )
    strokes = [stroke @ matrix.T for stroke in strokes]
    every = np.concatenate(strokes)
    middle, reach = (every.max(axis=0) + every.min(axis=0)) / 2, np.ptp(every, axis=0).max() / 2
    return [(stroke - middle) / reach for stroke in strokes]
