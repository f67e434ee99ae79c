"""Line plots as SVG, with the standard library alone."""

from xml.sax.saxutils import escape

WIDTH, HEIGHT = 760, 460
LEFT, RIGHT, TOP, BOTTOM = 62, 250, 40, 48
COLOURS = ["#1f5fa8", "#c8501e", "#2f8a4c", "#8a3fa0", "#b08a00", "#4d4d4d", "#c23b6a", "#3aa0a8"]


def ticks(low, high, about=7):
    """Round numbers from low to high."""
    span = high - low
    step = next(s * 10.0 ** e for e in range(-6, 7) for s in (1, 2, 5)
                if span / (s * 10.0 ** e) <= about)
    first = int(low / step) if low / step == int(low / step) else int(low / step) + 1
    values = []
    while first * step <= high + 1e-9:
        values.append(round(first * step, 9))
        first += 1
    return values


def number(value):
    return f"{value:.6f}".rstrip("0").rstrip(".")


def draw(path, title, x_name, y_name, curves, x_range, y_range, line=None):
    """curves: (name, [(x, y), ...]) each; points outside the ranges are left out. `line`: a
    horizontal one, (y, name)."""
    def at_x(x):
        return LEFT + (x - x_range[0]) / (x_range[1] - x_range[0]) * (WIDTH - LEFT - RIGHT)

    def at_y(y):
        return HEIGHT - BOTTOM - (y - y_range[0]) / (y_range[1] - y_range[0]) * (
            HEIGHT - TOP - BOTTOM)

    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
           f'font-family="sans-serif" font-size="12">',
           f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
           f'<text x="{LEFT}" y="22" font-size="14">{escape(title)}</text>']
    for x in ticks(*x_range):
        out.append(f'<path d="M{at_x(x):.1f} {TOP}V{HEIGHT - BOTTOM}" stroke="#e4e4e4"/>'
                   f'<text x="{at_x(x):.1f}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle">'
                   f'{number(x)}</text>')
    for y in ticks(*y_range):
        out.append(f'<path d="M{LEFT} {at_y(y):.1f}H{WIDTH - RIGHT}" stroke="#e4e4e4"/>'
                   f'<text x="{LEFT - 6}" y="{at_y(y) + 4:.1f}" text-anchor="end">{number(y)}</text>')
    out.append(f'<text x="{(LEFT + WIDTH - RIGHT) / 2:.0f}" y="{HEIGHT - 10}" '
               f'text-anchor="middle">{escape(x_name)}</text>')
    out.append(f'<text x="16" y="{(TOP + HEIGHT - BOTTOM) / 2:.0f}" text-anchor="middle" '
               f'transform="rotate(-90 16 {(TOP + HEIGHT - BOTTOM) / 2:.0f})">{escape(y_name)}</text>')
    if line:
        out.append(f'<path d="M{LEFT} {at_y(line[0]):.1f}H{WIDTH - RIGHT}" stroke="#999" '
                   f'stroke-dasharray="5 4"/>'
                   f'<text x="{LEFT + 6}" y="{at_y(line[0]) - 5:.1f}" fill="#777">'
                   f'{escape(line[1])}</text>')
    for i, (name, points) in enumerate(curves):
        colour = COLOURS[i % len(COLOURS)]
        dash = ' stroke-dasharray="2 3"' if i >= len(COLOURS) else ""
        inside = [(at_x(x), at_y(y)) for x, y in sorted(points)
                  if x_range[0] <= x <= x_range[1] and y_range[0] <= y <= y_range[1]]
        if inside:
            path_text = "L".join(f"{x:.1f} {y:.1f}" for x, y in inside)
            out.append(f'<path d="M{path_text}" fill="none" stroke="{colour}" '
                       f'stroke-width="1.8"{dash}/>')
        out += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.6" fill="{colour}"/>' for x, y in inside]
        y = TOP + 14 + 18 * i
        out.append(f'<path d="M{WIDTH - RIGHT + 10} {y - 4}h18" stroke="{colour}" '
                   f'stroke-width="2"{dash}/>'
                   f'<text x="{WIDTH - RIGHT + 34}" y="{y}">{escape(name)}</text>')
    out.append("</svg>")
    with open(path, "w", encoding="utf-8") as file:
        file.write("\n".join(out) + "\n")
