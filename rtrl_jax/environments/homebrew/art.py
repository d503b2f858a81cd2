"""Turns drawings in characters into the Game Boy's tiles: `python art.py font.txt font > font.h`.

A drawing is a line `=NAME`, then rows of characters: '.' light, '-' and '+' greys, '#' dark. It is one tile of eight by eight,
or, with `creature` after the file's array name, the left half of a creature: mirrored, doubled, and cut into 6 x 6 tiles.
"""

import re
import sys

SHADES = {".": 0, " ": 0, "-": 1, "+": 2, "#": 3}


def tile_bytes(rows: list[str]) -> list[int]:
    """Eight rows of eight characters -> 16 bytes, low and high bit planes of each row in turn."""
    found = []
    for row in rows:
        shades = [SHADES[character] for character in row]
        found += [sum(((shade >> plane) & 1) << (7 - i) for i, shade in enumerate(shades)) for plane in (0, 1)]
    return found


def read(path: str) -> list[tuple[str, list[str]]]:
    """(name, rows) of each drawing in a file."""
    drawings = []
    with open(path) as file:
        for line in file:
            line = line.rstrip("\n")
            if line.startswith("="):
                drawings.append((line[1:], []))
            elif line and not line.startswith(";"):
                drawings[-1][1].append(line)
    return drawings


def whole_creature(half: list[str]) -> list[str]:
    """12 x 24 characters -> 48 x 48."""
    rows = [row + row[::-1] for row in half]
    return ["".join(character * 2 for character in row) for row in rows for _ in range(2)]


def main(path: str, name: str, kind: str = "tile") -> None:
    """Prints a C header: one array of all tiles, and the number of each drawing."""
    print(f"// Made from {path} by art.py.\n#include <stdint.h>")
    tiles = []
    for number, (label, rows) in enumerate(read(path)):
        if re.match(r"[A-Z][A-Z_0-9]+\b", label):
            print(f"#define {'TILE' if kind == 'tile' else 'LOOKS'}_{label.split()[0]} {number}")
        if kind == "creature":
            rows = whole_creature(rows)
        for y in range(0, len(rows), 8):
            tiles += [tile_bytes([row[x : x + 8] for row in rows[y : y + 8]]) for x in range(0, len(rows[0]), 8)]
    print(f"#define {name.upper()}_COUNT {len(tiles)}\nstatic const uint8_t {name}[] = {{")
    for tile in tiles:
        print("\t" + ", ".join(f"0x{byte:02X}" for byte in tile) + ",")
    print("};")


if __name__ == "__main__":
    main(*sys.argv[1:])
