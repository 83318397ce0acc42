"""Pictures for models from packages: crops of photographs, faces, rendered text. Each part draws on material of its own:
a third of every photograph, a third of the faces, a third of a long English text."""

from __future__ import annotations

import pydoc_data.topics
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont
from quantize_case import Array
from sklearn.datasets import load_sample_images

#: calib, eval and test, by what they draw on.
THIRDS = {"calib": 0, "eval": 1, "test": 2}
#: In `skimage/data` of the package scikit-image.
PHOTOGRAPHS = (
    "astronaut.png",
    "chelsea.png",
    "coffee.png",
    "motorcycle_left.png",
    "rocket.jpg",
    "retina.jpg",
    "ihc.png",
)
LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"


class Pictures:
    """What one part draws on, in an order that its name decides. `skimage` is the folder of that package."""

    def __init__(self, part: str, skimage: Path) -> None:
        third = THIRDS[part]
        self.rng = np.random.default_rng(third)
        found = [np.asarray(Image.open(skimage / "data" / name).convert("RGB")) for name in PHOTOGRAPHS]
        found += load_sample_images().images
        self.photographs = [np.array_split(image, 3, axis=1)[third] for image in found]
        faces = np.load(skimage / "data" / "lfw_subset.npy")
        self.faces, self.others = np.array_split(faces[:100], 3)[third], np.array_split(faces[100:], 3)[third]
        self.words = np.array_split(_words(), 3)[third]

    def crop(self, height: int, width: int) -> Array:
        """uint8 `[height, width, 3]`: a piece of a photograph, enlarged or reduced, perhaps mirrored."""
        image = self.photographs[self.rng.integers(len(self.photographs))]
        scale = self.rng.uniform(0.4, 1) * min(image.shape[0] / height, image.shape[1] / width)
        tall, wide = int(height * scale), int(width * scale)
        top, left = self.rng.integers(image.shape[0] - tall + 1), self.rng.integers(image.shape[1] - wide + 1)
        piece = Image.fromarray(image[top : top + tall, left : left + wide]).resize(
            (width, height), Image.Resampling.BILINEAR
        )
        made = np.asarray(piece)
        return made[:, ::-1] if self.rng.random() < 0.5 else made

    def face(self, side: int) -> Array:
        """uint8 `[side, side, 3]`, grey."""
        return _grey(self.faces[self.rng.integers(len(self.faces))], side)

    def other(self, side: int) -> Array:
        """What is no face."""
        return _grey(self.others[self.rng.integers(len(self.others))], side)

    def people(self, side: int) -> Array:
        """uint8 `[side, side, 3]`: faces of several sizes on a photograph."""
        image = self.crop(side, side).copy()
        for _ in range(self.rng.integers(1, 4)):
            extent = int(self.rng.uniform(0.2, 0.5) * side)
            top, left = self.rng.integers(side - extent, size=2)
            image[top : top + extent, left : left + extent] = self.face(extent)
        return image

    def line(self, height: int, width: int) -> Array:
        """uint8 `[height, width, 3]`: a line of text as a scanner or a camera gives it, as wide as it comes."""
        count = self.rng.integers(1, 5)
        start = self.rng.integers(len(self.words) - count)
        text = " ".join(self.words[start : start + count])
        paper, ink = self._colours()
        tall = height * 2
        font = _font(int(tall * self.rng.uniform(0.55, 0.75)))
        length = int(font.getlength(text)) + tall // 2
        image = Image.new("RGB", (length, tall), paper)
        ImageDraw.Draw(image).text((tall // 4, tall * self.rng.uniform(0.05, 0.2)), text, fill=ink, font=font)
        image = self._worn(image, paper)
        wide = min(width, int(np.ceil(height * image.width / image.height)))
        return np.asarray(image.resize((wide, height), Image.Resampling.BILINEAR))

    def page(self, side: int) -> Array:
        """uint8 `[side, side, 3]`: lines of several sizes, on paper or on a photograph."""
        paper, ink = self._colours()
        image = Image.new("RGB", (side, side), paper)
        if self.rng.random() < 0.4:
            image = Image.fromarray(self.crop(side, side))
        draw, top = ImageDraw.Draw(image), self.rng.uniform(0, 30)
        while top < side - 14:
            size = self.rng.uniform(12, 36)
            start = self.rng.integers(len(self.words) - 9)
            text = " ".join(self.words[start : start + self.rng.integers(1, 9)])
            draw.text((self.rng.uniform(4, side / 3), top), text, fill=ink, font=_font(int(size)))
            top += size * self.rng.uniform(1.1, 2.5)
        return np.asarray(self._worn(image, paper))

    def captcha(self, height: int, width: int) -> Array:
        """uint8 `[height, width, 3]`: a few letters and digits, each turned and tinted, crossed by lines."""
        image = Image.new("RGB", (width, height), tuple(int(value) for value in self.rng.integers(200, 256, 3)))
        count = self.rng.integers(4, 7)
        for place in range(count):
            cell = Image.new("L", (height, height))
            letter = LETTERS[self.rng.integers(len(LETTERS))]
            ImageDraw.Draw(cell).text((height // 4, height // 8), letter, fill=255, font=_font(int(height * 0.65)))
            cell = cell.rotate(self.rng.uniform(-25, 25))
            colour = tuple(int(value) for value in self.rng.integers(0, 150, 3))
            image.paste(colour, (int(place * (width - height / 2) / count), 0), cell)
        for _ in range(3):
            ends = [int(value) for value in self.rng.integers(0, (width, height, width, height))]
            ImageDraw.Draw(image).line(ends, fill=tuple(int(value) for value in self.rng.integers(0, 200, 3)), width=1)
        return np.asarray(image)

    def captcha_on_photograph(self, side: int) -> Array:
        """uint8 `[side, side, 3]`: large letters strewn over a photograph, as puzzles that ask to click on letters have."""
        image = Image.fromarray(self.crop(side, side))
        for _ in range(self.rng.integers(3, 6)):
            size = int(side * self.rng.uniform(0.12, 0.2))
            cell = Image.new("L", (2 * size, 2 * size))
            letter = LETTERS[self.rng.integers(len(LETTERS))].upper()
            ImageDraw.Draw(cell).text((size // 2, size // 3), letter, fill=255, font=_font(size))
            cell = cell.rotate(self.rng.uniform(-40, 40))
            colour = tuple(int(value) for value in self.rng.integers(0, 256, 3))
            image.paste(colour, tuple(int(value) for value in self.rng.integers(0, side - 2 * size, 2)), cell)
        return np.asarray(image)

    def _colours(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Paper and ink."""
        light, dark = self.rng.integers(170, 256, 3), self.rng.integers(0, 90, 3)
        pair = tuple(int(value) for value in light), tuple(int(value) for value in dark)
        return pair if self.rng.random() < 0.8 else pair[::-1]

    def _worn(self, image: Image.Image, paper: tuple[int, ...]) -> Image.Image:
        """Turned by a degree or two, out of focus, with noise."""
        image = image.rotate(self.rng.uniform(-1.5, 1.5), Image.Resampling.BILINEAR, fillcolor=paper)
        image = image.filter(ImageFilter.GaussianBlur(self.rng.uniform(0, 1.2)))
        noisy = np.asarray(image, np.float32) + self.rng.normal(
            0, self.rng.uniform(0, 12), (image.height, image.width, 3)
        )
        return Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8))


def _words() -> Array:
    text = " ".join(pydoc_data.topics.topics[name] for name in sorted(pydoc_data.topics.topics))
    return np.array(re.findall(r"[A-Za-z0-9][A-Za-z0-9.,;:'-]*", text))


@cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    font = ImageFont.load_default(size)
    if not isinstance(font, ImageFont.FreeTypeFont):
        raise SystemExit("this Pillow was built without FreeType")
    return font


def _grey(image: Array, side: int) -> Array:
    drawn = Image.fromarray((image * 255).astype(np.uint8)).resize((side, side), Image.Resampling.BILINEAR)
    return np.repeat(np.asarray(drawn)[..., None], 3, 2)


def stacked(count: int, draw: Callable[[], Array]) -> Array:
    return np.stack([draw() for _ in range(count)])


def channel_first(images: Array, mean: float, scale: float, bgr: bool = False) -> Array:
    """uint8 `[n, h, w, 3]` as float32 `[n, 3, h, w]`: `(x - mean) * scale`."""
    ordered = images[..., ::-1] if bgr else images
    return np.ascontiguousarray((ordered.transpose(0, 3, 1, 2).astype(np.float32) - mean) * scale, dtype=np.float32)


def padded_right(image: Array, width: int) -> Array:
    """float32 `[3, h, width]` from uint8 `[h, w, 3]`, in -1 to 1, zeros where there is no image, as PaddleOCR has it."""
    made = np.zeros((3, image.shape[0], width), np.float32)
    made[:, :, : image.shape[1]] = (image[..., ::-1].transpose(2, 0, 1) / 255 - 0.5) / 0.5
    return made
