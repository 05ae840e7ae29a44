"""Small pictures as SVG: lines over powers of ten, and bars."""

import math
from xml.sax.saxutils import escape

# What grows, and the costs that are drawn over it.
CURVES = {
    "sessions": [("append_cpu_us", "append, CPU µs")],
    "streams": [("server_cpu_us", "delivery, server CPU µs")],
    "events": [("append_cpu_us", "append, CPU µs"), ("tail_step_p50_us", "tail step, µs"),
               ("reconnect_p50_us", "reconnect with 200 events, µs"), ("open_ms", "opening the log, ms")],
}
COLORS = ["#1b6ca8", "#d1495b", "#3d8b3d", "#8d5a97"]
WIDTH, HEIGHT, LEFT, BOTTOM, TOP = 640, 300, 60, 40, 20


def text(x, y, words, anchor="middle", color="#444"):
    return f'<text x="{x:.0f}" y="{y:.0f}" text-anchor="{anchor}" fill="{color}">{escape(words)}</text>'


def picture(height, parts):
    head = (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
            'font-family="sans-serif" font-size="12">')
    return "\n".join([head, f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>', *parts, "</svg>"]) + "\n"


def power(value):
    return f"{value:,.0f}" if value >= 1 else f"{value:g}"


def curve(grown, samples, medians):
    """Costs over what has grown, both by powers of ten: what does not grow is level. None where there is nothing."""
    here = [sample for sample in samples if sample["case"].startswith(grown + " ")]
    counts = sorted({int(sample["case"].split()[1]) for sample in here})
    lines = []
    for key, title in CURVES[grown]:
        points = []
        for count in counts:
            value = medians([s for s in here if s["case"] == f"{grown} {count}"]).get(key)
            if value:
                points.append((math.log10(count), math.log10(value)))
        if points:
            lines.append((title, points))
    if not lines:
        return None
    xs = [math.log10(count) for count in counts]
    ys = [y for _, points in lines for _, y in points]
    low, high = math.floor(min(ys)), math.ceil(max(ys) + 1e-9)
    high = max(high, low + 1)
    height = HEIGHT + 18 * len(lines)
    x = lambda value: LEFT + (value - xs[0]) / max(xs[-1] - xs[0], 1) * (WIDTH - LEFT - 40)
    y = lambda value: HEIGHT - BOTTOM - (value - low) / (high - low) * (HEIGHT - BOTTOM - TOP)
    parts = []
    for step in range(low, high + 1):
        parts.append(f'<path d="M{LEFT} {y(step):.1f}H{WIDTH - 40}" stroke="#ddd"/>')
        parts.append(text(LEFT - 6, y(step) + 4, power(10.0 ** step), "end"))
    parts += [text(x(math.log10(count)), HEIGHT - BOTTOM + 18, power(count)) for count in counts]
    parts.append(text((LEFT + WIDTH - 40) / 2, HEIGHT - 4, grown))
    for place, (title, points) in enumerate(lines):
        color = COLORS[place % len(COLORS)]
        path = " ".join(f"{x(px):.1f},{y(py):.1f}" for px, py in points)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{color}" stroke-width="2"/>')
        parts += [f'<circle cx="{x(px):.1f}" cy="{y(py):.1f}" r="3" fill="{color}"/>' for px, py in points]
        parts.append(text(LEFT, HEIGHT + 14 + 18 * place, title, "start", color))
    return picture(height, parts)


def fanout(samples, medians):
    """Deliveries a second of each server, one by one and in bursts."""
    parts, top = [], TOP
    for case in dict.fromkeys(sample["case"] for sample in samples):
        here = [sample for sample in samples if sample["case"] == case]
        rates = {subject: medians([s for s in here if s["subject"] == subject]).get("deliveries_per_second", 0)
                 for subject in dict.fromkeys(sample["subject"] for sample in here)}
        most = max(rates.values()) or 1
        parts.append(text(8, top + 4, f"{case}: deliveries a second to 1,000 streams", "start"))
        top += 14
        for subject, rate in sorted(rates.items(), key=lambda pair: -pair[1]):
            width = rate / most * (WIDTH - 280)
            color = COLORS[0] if subject == "seawall" else "#bbb"
            parts.append(text(180, top + 13, subject, "end"))
            parts.append(f'<rect x="188" y="{top + 2}" width="{width:.1f}" height="14" fill="{color}"/>')
            parts.append(text(194 + width, top + 13, f"{rate:,.0f}", "start"))
            top += 20
        top += 20
    return picture(top, parts)
