"""Eight ways in which a file comes to harm, each as a function of the file and of another of its kind."""


def truncated(path, other):
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def emptied(path, other):
    path.write_bytes(b"")


def one_byte_flipped(path, other):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))


def a_line_deleted(path, other):
    lines = path.read_bytes().splitlines(keepends=True)
    del lines[len(lines) // 2]
    path.write_bytes(b"".join(lines))


def a_line_doubled(path, other):
    lines = path.read_bytes().splitlines(keepends=True)
    lines.insert(len(lines) // 2, lines[len(lines) // 2])
    path.write_bytes(b"".join(lines))


def anothers(path, other):
    path.write_bytes(other.read_bytes())


def deleted(path, other):
    path.unlink()


def garbage(path, other):
    path.write_bytes(b"\x00\xff" * 500)


WAYS = (
    truncated, emptied, one_byte_flipped, a_line_deleted, a_line_doubled, anothers, deleted, garbage,
)  # fmt: skip
