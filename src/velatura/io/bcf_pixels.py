"""Pixels of a Bruker .bcf stream, many at once: single pulses in 16 or 12 bits, and run-length instructions.

A pixel is a head of 22 bytes (`HEAD`) and its data:
    flag 0   a list of `pulses` channels, 16 bits each
    flag 1   the same in 12 bits, four in three 16-bit words, high bits first
    flag > 1 `packed` bytes of instructions, then `pulses` 16-bit channels of further single counts
An instruction is (item, n): n empty channels for item 0, else a base of `item` bytes and n values of item/2 bytes
(nibbles, low one first, for item 1) that add to the base. All pixels take a step of their instructions together, so
that the loop runs as often as the longest list and not once a pixel. What cannot be is a ValueError.
"""

import itertools
import struct
from collections.abc import Iterator

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

HEAD = np.dtype(
    [
        ("x", "<u4"),
        ("channels", "<u2"),
        ("same", "<u2"),
        ("bits", "<u4"),
        ("flag", "<u2"),
        ("packed", "<u2"),
        ("pulses", "<u2"),
        ("bytes", "<u4"),
    ]
)
PADDING = 32  # zeros behind a block, so that reading whole heads and words never leaves it
BATCH = 2**20  # bytes of stream decoded together: temporary arrays take some fifty times as much, and stay in cache
VALUE = {1: "nibble", 2: "<u1", 4: "<u2", 8: "<u4"}  # item -> type of one value
_COUNT = struct.Struct("<i").unpack_from
_LENGTHS = struct.Struct("<HHHI").unpack_from


def walk_row(data: bytes, at: int, width: int) -> tuple[list[int], int]:
    """Positions of the pixel heads of the row at `at`, and where the next row begins.

    Raises struct.error when the row leaves `data`, ValueError when it holds more than `width` pixels.
    """
    (stored,) = _COUNT(data, at)
    if not 0 <= stored <= width:
        raise ValueError(f"a row of {stored} pixels in a scan {width} pixels wide")
    at += 4
    positions = []
    for _ in range(stored):
        positions.append(at)
        flag, packed, pulses, size = _LENGTHS(data, at + 12)
        at += 22 + (max(size, packed + 2 * pulses) if flag > 1 else size)
    return positions, at


class Pixels:
    """Heads and data of some pixels of one block of a stream."""

    def __init__(self, data: np.ndarray, positions: np.ndarray) -> None:
        """data: uint8 with PADDING zeros behind; positions: of the heads, ascending."""
        self.data, self.positions = data, positions
        self.heads = sliding_window_view(data, HEAD.itemsize)[positions].view(HEAD)[:, 0]

    def batches(self) -> Iterator[tuple[slice, "Pixels"]]:
        """Cut into runs of about BATCH bytes."""
        cuts = np.searchsorted(self.positions, np.arange(0, len(self.data), BATCH))
        edges = np.unique([*cuts, len(self.positions)])
        for first, last in itertools.pairwise(edges.tolist()):
            start = int(self.positions[first])
            stop = int(self.positions[last]) if last < len(self.positions) else len(self.data) - PADDING
            block = np.concatenate([self.data[start:stop], np.zeros(PADDING, np.uint8)])
            yield slice(first, last), Pixels(block, self.positions[first:last] - start)

    def largest(self) -> int:
        """A number that no count exceeds: the largest count, or a bound near it that is cheaper."""
        singles, most = self.heads["flag"] < 2, 0
        pulses = self.heads["pulses"].astype(np.int64)
        if np.any(crowded := singles & (pulses > 255)):
            own = Pixels(self.data, self.positions[crowded])
            for bits in (12, 16):
                which, channel = own.pulses(bits)
                most = max(most, int(_count_equal(which * 2**16 + channel)[1].max(initial=0)))
        most = max(most, int(pulses[singles & ~crowded].max(initial=0)))
        for item, run in self._runs().items():
            peak = 15 if item == 1 else self._values(item, run).max(initial=0)
            most = max(most, int(peak) + int(run["base"].max(initial=0)))
        return most + int(pulses[~singles].max(initial=0))

    def add_to(self, counts: np.ndarray, slots: np.ndarray) -> None:
        """Add the pixels to counts[slot, channel]; slots: one row of `counts` a pixel, none twice."""
        channels, flat = counts.shape[1], counts.reshape(-1)
        for item, run in self._runs().items():
            if np.any(run["channel"] + run["n"] > channels):
                raise ValueError(f"counts beyond the {channels} channels of the scan")
            place, value = _spread(slots[run["pixel"]] * channels + run["channel"], run["n"]), self._values(item, run)
            flat[place] = value + np.repeat(run["base"], run["n"]) if run["base"].any() else value
        for bits in (12, 16):
            which, channel = self.pulses(bits)
            if channel.max(initial=0) >= channels:
                raise ValueError(f"a pulse beyond the {channels} channels of the scan")
            place, number = _count_equal(slots[which] * channels + channel)
            flat[place] += number.astype(counts.dtype)

    def pulses(self, bits: int) -> tuple[np.ndarray, np.ndarray]:
        """(pixel, channel) of every single pulse stored in 12 or 16 bits."""
        heads = self.heads
        own = np.flatnonzero((heads["flag"] == 1 if bits == 12 else heads["flag"] != 1) & (heads["pulses"] > 0))
        number, flag = heads["pulses"][own].astype(np.int64), heads["flag"][own]
        start = self.positions[own] + HEAD.itemsize + np.where(flag > 1, heads["packed"][own], 0)
        if np.any((number * bits > 8 * heads["bytes"][own].astype(np.int64)) & (flag < 2)):
            raise ValueError("a pixel with more pulses than its data hold")
        groups, group = -(-number // 4), bits // 2  # four pulses at a time
        each = np.repeat(np.arange(len(own)), groups)
        step = np.arange(len(each)) - np.repeat(np.cumsum(groups) - groups, groups)
        words = sliding_window_view(self.data, group)[start[each] + step * group].view("<u2")
        if bits == 12:
            a, b, c = words.T
            words = np.stack([a >> 4, (a & 15) << 8 | b >> 8, (b & 255) << 4 | c >> 12, c & 4095], axis=1)
        real = 4 * step[:, None] + np.arange(4) < number[each][:, None]
        return np.repeat(own[each], 4)[real.ravel()], words[real].astype(np.int64)

    def _runs(self) -> dict[int, dict[str, np.ndarray]]:
        """Instructions with values, by item: pixel, first channel, n, position of the first value, base."""
        pixel = np.flatnonzero((self.heads["flag"] > 1) & (self.heads["packed"] > 0))
        at = self.positions[pixel] + HEAD.itemsize
        stop, channel = at + self.heads["packed"][pixel], np.zeros(len(pixel), np.int64)
        steps = []
        while len(at):
            item, n = self.data.take(at), self.data.take(at + 1)
            steps.append((pixel, channel, n, at, item))
            at, channel = at + 2 + item + (n.astype(np.int64) * item + 1 >> 1), channel + n
            if (at >= stop).any():
                if (at > stop).any():
                    raise ValueError("instructions that leave their pixel")
                more = at < stop
                pixel, at, stop, channel = pixel[more], at[more], stop[more], channel[more]
        if not steps:
            return {}
        pixel, channel, n, at, item = (np.concatenate(part) for part in zip(*steps, strict=True))
        kinds = np.flatnonzero(np.bincount(item)).tolist()
        if not {0, *VALUE}.issuperset(kinds):
            raise ValueError(f"instructions of {kinds} bytes an item")
        found: dict[int, dict[str, np.ndarray]] = {}
        for kind in kinds[kinds[0] == 0 :]:
            own = np.flatnonzero(item == kind)
            first = at.take(own) + 2
            base = sliding_window_view(self.data, kind)[first].view(f"<u{kind}")[:, 0]
            if np.any(base > 2**32):
                raise ValueError("a count above 32 bits")
            found[kind] = {
                "pixel": pixel.take(own),
                "channel": channel.take(own),
                "n": n.take(own).astype(np.int64),
                "at": first + kind,
                "base": base.astype(np.int64),
            }
        return found

    def _values(self, item: int, run: dict[str, np.ndarray]) -> np.ndarray:
        """Every value of these instructions, without its base."""
        n, at = run["n"], run["at"]
        if item == 1:
            halves = np.stack([self.data & 15, self.data >> 4], axis=1).reshape(-1)
            return halves.take(_spread(2 * at, n))
        size = item // 2
        return sliding_window_view(self.data, size)[_spread(at, n, size)].view(VALUE[item])[:, 0]


def _spread(first: np.ndarray, n: np.ndarray, step: int = 1) -> np.ndarray:
    """Runs of n equally spaced numbers, one after the other: first, first + step, ..."""
    before = np.cumsum(n) - n
    return np.repeat(first - step * before, n) + np.arange(0, step * int(n.sum()), step)


def _count_equal(numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The different numbers and how often each occurs; fast where they come sorted, as the scanner writes them."""
    if np.any(numbers[1:] < numbers[:-1]):
        numbers = np.sort(numbers)
    edges = np.flatnonzero(np.diff(numbers, prepend=-1))
    return numbers[edges], np.diff(edges, append=len(numbers))
