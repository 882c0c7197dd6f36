"""A table of times as bars, as SVG: one group for each network, one bar for each way of running it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

WIDTH, BAR, GAP, LEFT = 760, 16, 14, 220
COLOURS = ("#0b6e4f", "#63b995", "#2e86ab", "#b5651d", "#d9a066", "#a8a8a8")


def bars(title: str, ways: Sequence[str], times: Mapping[str, Sequence[float]]) -> str:
    """Bars as long as each time is against the first way's, which is written beside them.

    Args:
        title: above everything.
        ways: names of the bars, ours first.
        times: by group, milliseconds of each way.
    """
    most = max(max(row) / row[0] for row in times.values())
    scale = (WIDTH - LEFT - 130) / most
    body, y = [f'<text x="10" y="24" font-size="15" font-weight="bold">{title}</text>'], 46
    for group, row in times.items():
        body.append(f'<text x="10" y="{y + 12}" font-weight="bold">{group}</text>')
        for way, ms, colour in zip(ways, row, COLOURS[: len(ways)], strict=True):
            length = ms / row[0] * scale
            body.append(f'<text x="{LEFT - 8}" y="{y + 12}" text-anchor="end">{way}</text>')
            body.append(f'<rect x="{LEFT}" y="{y}" width="{length:.1f}" height="{BAR - 3}" fill="{colour}"/>')
            label = f"{ms:.2f} ms" + ("" if way == ways[0] else f", {ms / row[0]:.1f}x")
            body.append(f'<text x="{LEFT + length + 6:.1f}" y="{y + 12}">{label}</text>')
            y += BAR
        y += GAP
    style = 'font-family="sans-serif" font-size="12" fill="#222"'
    frame = f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{y}" viewBox="0 0 {WIDTH} {y}" {style}>'
    return "\n".join([frame, f'<rect width="{WIDTH}" height="{y}" fill="white"/>', *body, "</svg>", ""])
