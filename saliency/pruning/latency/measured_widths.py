"""The numbers of channels at which a layer is measured.

Engines compute channels in blocks, so time is a staircase: 8 and 16 channels are the usual steps,
and counts off the blocks take slower ways. A count therefore belongs to one of three classes: a
multiple of 8, of 4 only, or neither. Each class is measured by itself and never mixed with another.
Multiples of 8 are measured finely, as these are what a pruned network keeps; the other classes at
their first count, a quarter, half and all of the width, which is enough to show that they do not
save time.
"""

from collections.abc import Collection, Iterable
from itertools import chain, product

ALIGNMENTS = (8, 4, 1)


def alignment(count: int) -> int:
    """Return the class of a number of channels: 8, 4 or 1."""
    return next(step for step in ALIGNMENTS if count % step == 0)


def fine_counts(full: int) -> tuple[int, ...]:
    """Return the multiples of 8 at which a layer of `full` channels is measured, ascending.

    All of them up to 64, every second one up to 256, every fourth beyond, and the last one.
    """
    steps = chain(range(8, 65, 8), range(80, 257, 16), range(288, full + 1, 32))
    return tuple(sorted({count for count in (*steps, full - full % 8) if 0 < count <= full}))


def coarse_counts(full: int, *, step: int) -> tuple[int, ...]:
    """Return the counts of one class at which a layer of `full` channels is measured, ascending.

    They are the first one of the class, and the last ones up to a quarter, half and all of the
    width; below 8 channels every one. Empty if the class has none.
    """
    of_class = [count for count in range(1, full + 1) if alignment(count) == step]
    if full < 8:
        return tuple(of_class)
    upper = (full // 4, full // 2, full)
    below = [[count for count in of_class if count <= bound] for bound in upper]
    return tuple(sorted({counts[-1] for counts in below if counts} | set(of_class[:1])))


def width_pairs(
    full_in: Collection[int],
    full_out: Collection[int],
    *,
    multiple: int = 1,
    level: int | None = None,
) -> tuple[tuple[int, int], ...]:
    """Return the channels read and written at which convolutions across channels are measured.

    For each class of channels read and each of channels written it is a full grid.

    Args:
        full_in: the channels that the convolutions of a signature read before any is removed.
        full_out: those that they write.
        multiple: of which all counts must be, as of the groups of a convolution.
        level: how fine the grid is (`thinned`); None for all counts.
    """
    pairs: set[tuple[int, int]] = set()
    for step_in, step_out in product(ALIGNMENTS, ALIGNMENTS):
        is_fine_in = step_in == 8 and (step_out == 8 or max(full_out) < 8)
        is_fine_out = step_out == 8 and (step_in == 8 or max(full_in) < 8)
        all_in = _axis(full_in, step=step_in, is_fine=is_fine_in, least=multiple)
        all_out = _axis(full_out, step=step_out, is_fine=is_fine_out, least=multiple)
        ins = thinned((n for n in all_in if n % multiple == 0), level, is_fine=is_fine_in)
        outs = thinned((n for n in all_out if n % multiple == 0), level, is_fine=is_fine_out)
        pairs.update(product(ins, outs))
    return tuple(sorted(pairs))


def widths(full: Collection[int], *, least: int = 1, level: int | None = None) -> tuple[int, ...]:
    """Return the channels at which an operation that keeps their number is measured, ascending.

    Args:
        full: the channels of the operations of a signature before any is removed.
        least: below which it has no meaning.
        level: how fine the grid is (`thinned`); None for all counts.
    """
    axes = (
        thinned(_axis(full, step=step, is_fine=step == 8, least=least), level, is_fine=step == 8)
        for step in ALIGNMENTS
    )
    return tuple(sorted(chain.from_iterable(axes)))


def thinned(counts: Iterable[int], level: int | None, *, is_fine: bool) -> list[int]:
    """Return some of the counts, ascending: those of each level are among those of the next.

    At level 0 they are the ends, and where the counts are fine, the middle; each further level
    adds those halfway. None for all.
    """
    ordered = sorted(counts)
    if level is None or len(ordered) < 3:
        return ordered
    parts = 2 ** (level + is_fine)
    return sorted({ordered[round(k * (len(ordered) - 1) / parts)] for k in range(parts + 1)})


def _axis(full: Collection[int], *, step: int, is_fine: bool, least: int) -> set[int]:
    """Return the counts of one class for layers of these widths."""
    counts = (fine_counts(one) if is_fine else coarse_counts(one, step=step) for one in full)
    return {count for count in chain.from_iterable(counts) if count >= least}
