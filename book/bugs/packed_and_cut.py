"""Five texts of 50 tokens and ten of 10 are packed into rows of 32.

The result: the rows.
"""

texts, length = [50] * 5 + [10] * 10, 32


def pack(parts):
    """The longest first, each into the fullest row that has room."""
    rows = []
    for part in sorted(parts, reverse=True):
        room = [row for row in rows if sum(row) + part <= length]
        if room:
            max(room, key=sum).append(part)
        else:
            rows.append([part])
    return rows


def wrong():
    return pack(min(text, length) for text in texts)


def right():
    parts = []
    for text in texts:
        starts = range(0, text, length)
        parts += [min(length, text - start) for start in starts]
    return pack(parts)


def error(rows):
    """Tokens that no row holds."""
    return sum(texts) - sum(map(sum, rows))
