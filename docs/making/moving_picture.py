"""Make docs/moving.webp: a walk through the two latents of a VAE of handwritten digits.

`python docs/making/moving_picture.py RUN` trains the model at RUN if it is not there yet (two minutes on one
core; MNIST has to be there or within reach), and draws the frames. The same seed gives the same walk.
"""

from __future__ import annotations

import argparse
import io
from itertools import permutations
from pathlib import Path

import numpy as np
import torch
from matplotlib import colormaps, font_manager
from PIL import Image, ImageDraw, ImageFont

import vaekit
from vaekit.report.codes import Codes, encode

POINTS, FRAMES, MILLISECONDS = 4000, 120, 80
WIDTH, HEIGHT, FINE = 880, 330, 2  # drawn FINE times as large, and made smaller at the end
MAP = (566, 28, 846, 308)  # left, top, right, bottom
DIGIT = (272, 28, 552, 308)
TRACKS = {0: 118, 1: 208}  # latent -> height of its slider
TRACK = (36, 236)
INK, QUIET, LINE, ACCENT = "#1d2733", "#66717d", "#d5dae0", "#d6453d"


def trained(path: Path) -> vaekit.Run:
    """The run, trained here if it is not there."""
    if (path / "run.json").exists():
        return vaekit.Run.open(path)
    return vaekit.train("vae", "mnist", latents=2, hidden=(400, 200), steps=8000, seed=0, out=path)


def places(codes: Codes) -> np.ndarray:
    """One place for every class, (10, 2): the code whose 50th neighbour of its class is nearest."""
    labels = codes.batch["y"]
    found = []
    for label in range(10):
        own = codes.means[labels == label]
        found.append(own[torch.cdist(own, own).kthvalue(50).values.argmin()])
    return torch.stack(found).numpy()


def shortest(distance: np.ndarray) -> list[int]:
    """The shortest round trip: place by place where it costs least, then pairs of edges exchanged."""
    count = len(distance)
    tour = list(min(permutations(range(3)), key=lambda p: distance[p[0], p[1]]))
    for place in range(3, count):
        costs = [
            distance[tour[i - 1], place] + distance[place, tour[i]] - distance[tour[i - 1], tour[i]]
            for i in range(len(tour))
        ]
        tour.insert(int(np.argmin(costs)), place)
    better = True
    while better:
        better = False
        for i in range(count - 1):
            for j in range(i + 2, count):
                a, b, c, d = tour[i], tour[i + 1], tour[j], tour[(j + 1) % count]
                if distance[a, c] + distance[b, d] < distance[a, b] + distance[c, d] - 1e-9:
                    tour[i + 1 : j + 1] = tour[i + 1 : j + 1][::-1]
                    better = True
    return tour


def walk(stops: np.ndarray, frames: int) -> np.ndarray:
    """A closed smooth curve through the stops (Catmull-Rom), slower near each of them, (frames, 2)."""
    count = len(stops)
    at = np.linspace(0, count, frames, endpoint=False)
    piece, t = at.astype(int), at % 1
    t = t - np.sin(2 * np.pi * t) / (2 * np.pi) * 0.7
    p0, p1, p2, p3 = (stops[(piece + shift) % count] for shift in (-1, 0, 1, 2))
    t = t[:, None]
    return 0.5 * (
        2 * p1 + (p2 - p0) * t + (2 * p0 - 5 * p1 + 4 * p2 - p3) * t**2 + (3 * p1 - p0 - 3 * p2 + p3) * t**3
    )


def scaled(box: tuple[float, ...]) -> list[float]:
    """Pixels of the finished picture, as pixels of the drawing."""
    return [FINE * value for value in box]


class Stage:
    """What does not move, and how to draw what does."""

    def __init__(self, codes: Codes, names: np.ndarray) -> None:
        self.low, self.high = codes.means.quantile(0.002, 0).numpy(), codes.means.quantile(0.998, 0).numpy()
        margin = 0.05 * (self.high - self.low)
        self.low, self.high = self.low - margin, self.high + margin
        self.font = ImageFont.truetype(font_manager.findfont("DejaVu Sans"), 13 * FINE)
        self.ground = Image.new("RGB", (WIDTH * FINE, HEIGHT * FINE), "white")
        draw = ImageDraw.Draw(self.ground)
        for name, box in {"see what they decode to": DIGIT, "and where the data lie": MAP}.items():
            draw.text(scaled((box[0], 6)), name, QUIET, self.font)
        draw.text(scaled((TRACK[0], 6)), "move the latents", QUIET, self.font)
        draw.rectangle(scaled((MAP[0] - 1, MAP[1] - 1, MAP[2], MAP[3])), outline=LINE, width=FINE)
        colours = (np.array(colormaps["tab10"].colors) * 255).astype(int)
        for z, label in zip(codes.means.numpy(), codes.batch["y"].tolist(), strict=True):
            if ((z > self.low) & (z < self.high)).all():
                x, y = self.place(z)
                soft = tuple(int(0.55 * value + 0.45 * 255) for value in colours[label])
                draw.ellipse(scaled((x - 1.3, y - 1.3, x + 1.3, y + 1.3)), fill=soft)
        for label, z in enumerate(names):
            edge = {"stroke_width": 3, "stroke_fill": "white"}
            draw.text(scaled(self.place(z)), str(label), INK, self.font, anchor="mm", **edge)

    def place(self, z: np.ndarray) -> tuple[float, float]:
        """Where a code lies on the map, in pixels of the finished picture."""
        share = (z - self.low) / (self.high - self.low)
        left, top, right, bottom = MAP
        return left + share[0] * (right - left), bottom - share[1] * (bottom - top)

    def frame(self, z: np.ndarray, trail: np.ndarray, picture: np.ndarray) -> Image.Image:
        """One frame: sliders at z, the decoded picture (28, 28), the place on the map and the way to it."""
        image = self.ground.copy()
        draw = ImageDraw.Draw(image)
        for latent, height in TRACKS.items():
            share = (z[latent] - self.low[latent]) / (self.high[latent] - self.low[latent])
            x = TRACK[0] + float(share) * (TRACK[1] - TRACK[0])
            draw.text(scaled((TRACK[0], height - 34)), f"z {latent + 1}", INK, self.font)
            value = f"{z[latent]:+.2f}"
            draw.text(scaled((TRACK[1], height - 34)), value, INK, self.font, anchor="ra")
            draw.rounded_rectangle(scaled((TRACK[0], height - 3, TRACK[1], height + 3)), 3 * FINE, LINE)
            draw.rounded_rectangle(scaled((TRACK[0], height - 3, x, height + 3)), 3 * FINE, "#f0b7b3")
            draw.ellipse(scaled((x - 9, height - 9, x + 9, height + 9)), ACCENT)
        side = FINE * (DIGIT[2] - DIGIT[0])
        digit = Image.fromarray((255 * picture.clip(0, 1)).round().astype(np.uint8))
        image.paste(digit.resize((side, side), Image.Resampling.BICUBIC), (FINE * DIGIT[0], FINE * DIGIT[1]))
        way = [tuple(scaled(self.place(point))) for point in trail]
        if len(way) > 1:
            draw.line(way, ACCENT, 2 * FINE, joint="curve")
        x, y = self.place(z)
        draw.ellipse(scaled((x - 7, y - 7, x + 7, y + 7)), ACCENT, "white", 2 * FINE)
        return image.resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS)


def frames(run: vaekit.Run, count: int) -> list[Image.Image]:
    """The frames of the walk."""
    torch.manual_seed(0)
    codes = encode(run.model(), run.data().test, POINTS)
    stops = places(codes)
    round_trip = shortest(np.linalg.norm(stops[:, None] - stops[None], axis=-1))
    stage, path = Stage(codes, stops), walk(stops[round_trip], count)
    with torch.no_grad():
        decoded = codes.decode(torch.as_tensor(path, dtype=torch.float32), None).mean
    pictures = decoded.reshape(count, 28, 28).numpy()
    return [stage.frame(path[i], path[max(0, i - 12) : i + 1], pictures[i]) for i in range(count)]


def animation(images: list[Image.Image], quality: int = 62) -> bytes:
    """An animated WebP file that goes on for ever."""
    buffer = io.BytesIO()
    first, *rest = images
    forever = {"save_all": True, "append_images": rest, "duration": MILLISECONDS, "loop": 0}
    first.save(buffer, "WEBP", quality=quality, method=6, **forever)
    return buffer.getvalue()


def main() -> None:
    """Train, draw, write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("run", type=Path, help="the run directory; trained if it is not there")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent.parent / "moving.webp")
    chosen = parser.parse_args()
    data = animation(frames(trained(chosen.run), FRAMES))
    chosen.out.write_bytes(data)
    print(f"{chosen.out}: {FRAMES} frames, {len(data) / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
