"""python -m benchmarks.emoji FOLDER: about 1,400 coloured pictures to train on that people have drawn, 32 × 32 pixels.

They are the emoji of Noto Color Emoji, whose images are under the Apache License 2.0; apt-get install fonts-noto-color-emoji
    tinygan train --data FOLDER --out runs/emoji
"""
import argparse
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

FONT, POINTS = "/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf", 109     # the one size that the font has
SYMBOLS = (*range(0x203C, 0x3300), *range(0x1F000, 0x1FB00))                # Unicode's blocks with emoji in them
SIDE = 32


def drawn(symbol, font):
    """One symbol as an Image on white."""
    picture = Image.new("RGB", (136, 136), "white")
    ImageDraw.Draw(picture).text((0, 4), symbol, font=font, embedded_color=True)
    return picture.resize((SIDE, SIDE), Image.LANCZOS)


def write(folder, path=FONT):
    """Each emoji of the font once, as a PNG file in a new folder."""
    font = ImageFont.truetype(path, POINTS)
    found = {drawn(chr(symbol), font).tobytes(): symbol for symbol in (*SYMBOLS, 0)}     # 0 has no picture: blank ones go
    folder.mkdir(parents=True)
    for picture, symbol in found.items():
        if symbol:
            Image.frombytes("RGB", (SIDE, SIDE), picture).save(folder / f"{symbol:05x}.png")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.emoji", description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="a folder that does not exist yet")
    write(parser.parse_args().folder)
