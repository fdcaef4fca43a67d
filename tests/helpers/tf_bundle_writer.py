"""A small writer of TensorFlow V2 checkpoints for the tests, written apart from the reader.

The index is a sorted string table: blocks of prefix-compressed entries with restart points, a type byte and a masked
CRC-32C after each, an empty meta index, the index of the blocks, a footer of 48 bytes.
"""

import struct

import numpy as np

DTYPES = {"float32": 1, "float64": 2, "int32": 3, "float16": 19}


def crc32c(data):
    """Bit by bit, the definition: polynomial 0x1EDC6F41, reflected."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 * (crc & 1))
    return crc ^ 0xFFFFFFFF


def masked(data):
    crc = crc32c(data)
    return ((crc >> 15 | crc << 17 & 0xFFFFFFFF) + 0xA282EAD8) % 2**32


def varint(value):
    out = b""
    while value > 127:
        out += bytes([value % 128 + 128])
        value //= 128
    return out + bytes([value])


def number(field, value):
    return varint(field * 8) + varint(value) if value else b""


def message(field, content):
    return varint(field * 8 + 2) + varint(len(content)) + content


def entry(array, offset, shard=0):
    raw = array.tobytes()
    shape = b"".join(message(2, number(1, size)) for size in array.shape)
    return (
        number(1, DTYPES[str(array.dtype)])
        + message(2, shape)
        + number(3, shard)
        + number(4, offset)
        + number(5, len(raw))
        + varint(6 * 8 + 5)
        + struct.pack("<I", masked(raw))
    )


def block(entries, restart_interval):
    out, restarts, previous = b"", [], b""
    for k, (key, value) in enumerate(entries):
        shared = 0
        if k % restart_interval == 0:
            restarts.append(len(out))
        else:
            while shared < min(len(key), len(previous)) and key[shared] == previous[shared]:
                shared += 1
        out += varint(shared) + varint(len(key) - shared) + varint(len(value)) + key[shared:] + value
        previous = key
    restarts = restarts or [0]
    return out + struct.pack(f"<{len(restarts) + 1}I", *restarts, len(restarts))


def table(entries, entries_per_block, restart_interval=4, compression=0):
    out, index = b"", []

    def append(content):
        nonlocal out
        handle = varint(len(out)) + varint(len(content))
        content += bytes([compression])
        out += content + struct.pack("<I", masked(content))
        return handle

    for k in range(0, len(entries), entries_per_block):
        part = entries[k : k + entries_per_block]
        index.append((part[-1][0] + b"~", append(block(part, restart_interval))))
    meta = append(block([], 1))
    footer = meta + append(block(index, 1))
    return out + footer + bytes(40 - len(footer)) + struct.pack("<Q", 0xDB4775248B80FB57)


def write_bundle(prefix, tensors, *, entries_per_block=5, header=None, **options):
    """Write name -> array to prefix.index and prefix.data-00000-of-00001."""
    header = number(1, 1) + message(3, number(1, 1)) if header is None else header
    data, entries = b"", [(b"", header)]
    for name, array in sorted(tensors.items()):
        array = np.asarray(array)
        entries.append((name.encode(), entry(array, len(data))))
        data += array.tobytes()
    prefix.with_name(prefix.name + ".data-00000-of-00001").write_bytes(data)
    prefix.with_name(prefix.name + ".index").write_bytes(table(entries, entries_per_block, **options))
