"""Line plots as SVG, with the standard library alone: what the scripts that make reports draw with."""

import math
from html import escape

COLOURS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#666666", "#882255",
           "#117733", "#332288", "#aa4499", "#999933"]
DASHES = ["", "6 3", "2 3"]
WIDTH, HEIGHT = 760, 440
LEFT, TOP, RIGHT, BOTTOM = 64, 34, 250, 48


def ticks(low, high, most=8):
    """Round numbers between two."""
    raw = (high - low) / most
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(s * power for s in (1, 2, 5, 10) if s * power >= raw * (1 - 1e-9))
    first = math.ceil(low / step - 1e-9)
    return [round(i * step, 12) for i in range(first, math.floor(high / step + 1e-9) + 1)]


class Axis:
    def __init__(self, values, start, end, is_log, limits=None):
        self.is_log = is_log
        low, high = limits or (min(values), max(values))
        self.low, self.high = self.scale(low), self.scale(high)
        if self.low == self.high:
            self.low, self.high = self.low - 0.5, self.high + 0.5
        self.start, self.end = start, end

    def scale(self, value):
        return math.log10(value) if self.is_log else value

    def __call__(self, value):
        part = (self.scale(value) - self.low) / (self.high - self.low)
        return self.start + part * (self.end - self.start)

    def ticks(self):
        if not self.is_log:
            return ticks(self.low, self.high)
        whole = range(math.ceil(self.low - 1e-9), math.floor(self.high + 1e-9) + 1)
        decades = [10.0 ** i for i in whole]
        if len(decades) > 2:
            return decades
        return [m * 10.0 ** i for i in range(math.floor(self.low), math.ceil(self.high) + 1)
                for m in (1, 2, 5) if self.low <= math.log10(m) + i <= self.high]


def number(value):
    return f"{value:.0e}" if value and abs(value) < 1e-3 else f"{value:g}"


def frame(x, y, title, x_label, y_label):
    right, bottom = WIDTH - RIGHT, HEIGHT - BOTTOM
    yield f'<text x="{LEFT}" y="20" font-size="14">{escape(title)}</text>'
    for value in x.ticks():
        at = f"{x(value):.1f}"
        yield f'<path d="M{at} {TOP}V{bottom}" stroke="#ddd"/>'
        yield f'<text x="{at}" y="{bottom + 16}" text-anchor="middle">{number(value)}</text>'
    for value in y.ticks():
        at = y(value)
        yield f'<path d="M{LEFT} {at:.1f}H{right}" stroke="#ddd"/>'
        yield f'<text x="{LEFT - 6}" y="{at + 4:.1f}" text-anchor="end">{number(value)}</text>'
    yield f'<rect x="{LEFT}" y="{TOP}" width="{right - LEFT}" height="{bottom - TOP}" fill="none" stroke="#888"/>'
    yield f'<text x="{(LEFT + right) / 2}" y="{HEIGHT - 10}" text-anchor="middle">{escape(x_label)}</text>'
    yield (f'<text transform="translate(16 {(TOP + bottom) / 2}) rotate(-90)" '
           f'text-anchor="middle">{escape(y_label)}</text>')


def curve(index, name, points, x, y):
    colour = COLOURS[index % len(COLOURS)]
    dash = DASHES[index // len(COLOURS) % len(DASHES)]
    style = f'stroke="{colour}" fill="none" stroke-width="1.6"' + (f' stroke-dasharray="{dash}"' if dash else "")
    places = [(f"{x(a):.1f}", f"{y(b):.1f}") for a, b in points]
    if places:
        yield f'<path clip-path="url(#c)" d="M{"L".join(f"{a} {b}" for a, b in places)}" {style}/>'
    for a, b in places:
        yield f'<circle clip-path="url(#c)" cx="{a}" cy="{b}" r="2.2" fill="{colour}"/>'
    at, row = WIDTH - RIGHT + 12, TOP + 12 + 18 * index
    yield f'<path d="M{at} {row - 4}h22" {style}/><text x="{at + 28}" y="{row}">{escape(name)}</text>'


def svg(title, x_label, y_label, curves, is_log_y=False, x_limits=None, y_limits=None, lines=()):
    """curves: list of (name, list of (x, y)), drawn in their order; lines: (name, y) across the plot."""
    points = [p for _, points in curves for p in points]
    x = Axis([p[0] for p in points], LEFT, WIDTH - RIGHT, False, x_limits)
    y = Axis([p[1] for p in points], HEIGHT - BOTTOM, TOP, is_log_y, y_limits)
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" '
             f'viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="11">',
             f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
             f'<clipPath id="c"><rect x="{LEFT}" y="{TOP}" width="{WIDTH - LEFT - RIGHT}" '
             f'height="{HEIGHT - TOP - BOTTOM}"/></clipPath>',
             *frame(x, y, title, x_label, y_label)]
    for name, value in lines:
        at = f"{y(value):.1f}"
        parts.append(f'<path d="M{LEFT} {at}H{WIDTH - RIGHT}" stroke="#444" stroke-dasharray="2 2"/>'
                     f'<text x="{WIDTH - RIGHT - 4}" y="{float(at) - 4:.1f}" text-anchor="end">{escape(name)}</text>')
    for index, (name, curve_points) in enumerate(curves):
        parts += curve(index, name, curve_points, x, y)
    return "\n".join(parts) + "\n</svg>\n"
