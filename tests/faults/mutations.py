"""Damage to files, seeded: bytes, the members of a zip, JSON that stays well-formed, HDF5 and ONNX as they lie inside.

Every mutator takes a good file's bytes and a random generator, and gives other bytes; one that does not apply to a file
gives it back as it is.
"""

from __future__ import annotations

import io
import json
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

Mutator = Callable[[bytes, Random], bytes]

HOSTILE: tuple[Any, ...] = (
    *(None, True, False, -1, 0, 1, 2, 3, 7, 255, 2**31, 2**40, 2**63, 2**70, -(2**63), 0.5, -0.5, 1e30, 1e308, 1e-320),
    *("", "x", "input", "[/]", "\x1b[31m", "\u202e", "\0", "=1+1", "a/b", "x" * 5000, [], {}, [1], [1, 1], [[1, 2]]),
    *([-1, 3], {"a": 1}, [None], "NaN", float("nan"), float("inf"), 10**400, [[[[[[1]]]]]]),
)
"""Values that somebody may put anywhere."""


def flip_bits(good: bytes, random: Random) -> bytes:
    made = bytearray(good)
    for _ in range(random.choice((1, 1, 1, 2, 8, 64))):
        made[random.randrange(len(made))] ^= 1 << random.randrange(8)
    return bytes(made)


def flip_early(good: bytes, random: Random) -> bytes:
    """Where headers are."""
    made = bytearray(good)
    for _ in range(random.choice((1, 2, 4))):
        made[random.randrange(min(len(made), 400))] ^= 1 << random.randrange(8)
    return bytes(made)


def flip_late(good: bytes, random: Random) -> bytes:
    """Where the directories of zips and the footers of Parquet are."""
    made = bytearray(good)
    for _ in range(random.choice((1, 2, 4))):
        made[-1 - random.randrange(min(len(made), 800))] ^= 1 << random.randrange(8)
    return bytes(made)


def truncate(good: bytes, random: Random) -> bytes:
    return good[: random.randrange(len(good))]


def cut_out(good: bytes, random: Random) -> bytes:
    at, length = random.randrange(len(good)), random.choice((1, 2, 4, 8, 64, 512, 4096))
    return good[:at] + good[at + length :]


def insert(good: bytes, random: Random) -> bytes:
    at, length = random.randrange(len(good) + 1), random.choice((1, 2, 4, 8, 64, 512))
    return good[:at] + random.randbytes(length) + good[at:]


def overwrite(good: bytes, random: Random) -> bytes:
    at, length = random.randrange(len(good)), random.choice((1, 4, 8, 64, 512, 4096))
    filling = random.choice((b"\0", b"\xff", b"\x7f", b"A", None))
    made = random.randbytes(length) if filling is None else filling * length
    return (good[:at] + made + good[at + length :])[: len(good)]


def letters(good: bytes, random: Random) -> bytes:
    """Other letters and digits in text, which stays text."""
    made = bytearray(good)
    places = [k for k, byte in enumerate(made) if chr(byte).isalnum()]
    for _ in range(random.choice((1, 2, 5))):
        if places:
            made[random.choice(places)] = random.choice(b"0123456789abcxyzABCXYZ-+.e")
    return bytes(made)


def swap_blocks(good: bytes, random: Random) -> bytes:
    size = random.choice((4, 16, 64, 512))
    first, second = (random.randrange(max(len(good) - size, 1)) for _ in range(2))
    made = bytearray(good)
    made[first : first + size], made[second : second + size] = good[second : second + size], good[first : first + size]
    return bytes(made[: len(good)])


def repeat(good: bytes, random: Random) -> bytes:
    at, length = random.randrange(len(good)), random.choice((8, 64, 512, 4096))
    return good[:at] + good[at : at + length] * random.choice((2, 3, 50)) + good[at + length :]


def numbers(good: bytes, random: Random) -> bytes:
    """Some four or eight bytes as a number that lengths and places may be."""
    kind = random.choice(("<I", "<Q", ">I", "<i", "<q"))
    size = struct.calcsize(kind)
    extremes = (0, 1, 2, 0x7F, 0xFF, 0xFFFF, 1 << 20, 1 << 27, (1 << 31) - 1)
    signed = kind in ("<i", "<q")
    value = random.choice((*extremes, *((-1,) if signed else ()), *((1 << 40, 1 << 62) if size == 8 else ())))
    at = random.randrange(max(len(good) - size, 1))
    return good[:at] + struct.pack(kind, value) + good[at + size :]


BYTES: tuple[Mutator, ...] = (
    *(flip_bits, flip_bits, flip_early, flip_late, truncate, cut_out, insert, overwrite, letters, swap_blocks, repeat),
    numbers,
)


def in_zip(inside: dict[str, tuple[Mutator, ...]] | None = None) -> Mutator:
    """Damage to a member of a zip that is then packed anew, with the right checksums; or to the list of its members.

    Args:
        inside: mutators for members by how their names end; ``BYTES`` for others.
    """

    def mutate(good: bytes, random: Random) -> bytes:
        with zipfile.ZipFile(io.BytesIO(good)) as archive:
            members = [(info, archive.read(info)) for info in archive.infolist()]
        k = random.randrange(len(members))
        info, content = members[k]
        what = random.choice(("damage",) * 8 + ("drop", "double", "rename", "empty", "pack", "bomb", "lie"))
        if what == "damage" and content:
            known = [m for end, found in (inside or {}).items() if info.filename.endswith(end) for m in found]
            content = random.choice(known or BYTES)(content, random)
        elif what == "empty":
            content = b""
        elif what == "bomb":
            content = bytes(1 << 26)
        members[k] = (info, content)
        if what == "drop":
            members.pop(k)
        if what == "double":
            members.append((info, random.randbytes(len(content))))
        if what == "rename":
            info.filename = random.choice(
                ("x", "../" + info.filename, info.filename[1:], "a" * 300, members[0][0].filename)
            )
        made = io.BytesIO()
        with zipfile.ZipFile(made, "w") as archive:
            for entry, data in members:
                packed = zipfile.ZIP_DEFLATED if what in ("pack", "bomb") else entry.compress_type
                archive.writestr(entry.filename, data, compress_type=packed)
        if what != "lie":
            return made.getvalue()
        lying = bytearray(made.getvalue())
        at = lying.rfind(b"PK\x01\x02")
        lying[at + 20 : at + 28] = struct.pack("<II", *(random.choice((0, 1, 1 << 20, 0xFFFFFFF0)) for _ in range(2)))
        return bytes(lying)

    return mutate


def in_gzip(good: bytes, random: Random) -> bytes:
    """Damage to what is packed, packed again."""
    import gzip

    return gzip.compress(random.choice(BYTES)(gzip.decompress(good), random), 1)


def in_json(good: bytes, random: Random) -> bytes:
    """JSON that stays JSON: another value, an entry less, an entry twice, or one under another name."""
    return json.dumps(edited(json.loads(good), random)).encode()


def edited(tree: Any, random: Random) -> Any:
    """A tree of lists and dicts with one thing changed."""
    tree = json.loads(json.dumps(tree))
    homes: list[Any] = [tree]
    for home in homes:
        values = home.values() if isinstance(home, dict) else home
        homes += [value for value in values if isinstance(value, dict | list) and value]
    home = random.choice(homes)
    if not home:
        return tree
    keys = list(home) if isinstance(home, dict) else list(range(len(home)))
    key = random.choice(keys)
    what = random.choice(("change",) * 6 + ("drop", "double", "move"))
    if what == "change":
        home[key] = random.choice(HOSTILE)
    elif what == "drop":
        home.pop(key)
    elif what == "double" and isinstance(home, list):
        home.append(home[key])
    elif isinstance(home, dict):
        home[random.choice(("x", "name", "code", str(random.choice(keys))))] = home.pop(key)
    return tree


def in_safetensors(key: str, honest: bool = True) -> Mutator:
    """The description that lies in a safetensors file, or what the file says of its arrays.

    Args:
        key: of the description.
        honest: whether a digest of ours is taken out, so that nothing but the reader's own checks is left.
    """

    def mutate(good: bytes, random: Random) -> bytes:
        size = int.from_bytes(good[:8], "little")
        header, arrays = json.loads(good[8 : 8 + size]), good[8 + size :]
        if key in header.get("__metadata__", {}) and random.random() < 0.8:
            facts = json.loads(header["__metadata__"][key])
            if honest:
                facts.pop("digest", None)
            header["__metadata__"][key] = json.dumps(edited(facts, random))
        else:
            if honest and key in header.get("__metadata__", {}):
                facts = json.loads(header["__metadata__"][key])
                facts.pop("digest", None)
                header["__metadata__"][key] = json.dumps(facts)
            if random.random() < 0.5:
                header = edited(header, random)
            else:
                name = random.choice([k for k in header if k != "__metadata__"])
                lie = random.choice(("shape", "dtype", "values", "name"))
                if lie == "shape":
                    shape = header[name]["shape"]
                    header[name]["shape"] = random.choice(([*shape, 1], shape[::-1], [2**40], [-1], [0, *shape], []))
                elif lie == "dtype":
                    header[name]["dtype"] = random.choice(
                        ("I32", "U32", "F64", "I64", "F16", "BF16", "BOOL", "F8_E4M3")
                    )
                elif lie == "name":
                    header[f"{name}x"] = header.pop(name)
                else:
                    start, end = header[name]["data_offsets"]
                    filling = random.choice((b"\0\0\xc0\x7f", b"\0\0\x80\x7f", b"\xff\xff\x7f\x7f", b"\0\0\x80\xbf"))
                    arrays = arrays[:start] + (filling * ((end - start) // 4 + 1))[: end - start] + arrays[end:]
        text = json.dumps(header).encode()
        return len(text).to_bytes(8, "little") + text + arrays

    return mutate


def in_hdf5(good: bytes, random: Random) -> bytes:
    """HDF5 that stays HDF5: another attribute, a dataset of another kind or shape, links, things gone."""
    import h5py
    import numpy as np

    with TemporaryDirectory() as folder:
        path = Path(folder, "x.h5")
        path.write_bytes(good)
        with h5py.File(path, "r+") as file:
            names: list[str] = []
            file.visit(names.append)
            names = [name for name in names if name]
            name = random.choice(names)
            thing, parent = file[name], file[name].parent
            what = random.choice(("attribute", "attribute", "value", "value", "value", "drop", "link", "text", "huge"))
            if what == "attribute":
                holder = random.choice([file, *(file[n] for n in names)])
                if len(holder.attrs):
                    key = random.choice(list(holder.attrs))
                    old = holder.attrs[key]
                    if isinstance(old, str | bytes) and len(old) > 20:
                        text = old if isinstance(old, str) else old.decode()
                        holder.attrs[key] = in_json(text.encode(), random).decode()
                    else:
                        holder.attrs[key] = random.choice((0, -1, 2**62, "x", np.zeros(3), b"\xff\xfe", [b"a", b"b"]))
                elif random.random() < 0.5:
                    holder.attrs["x"] = np.zeros(2)
            elif what == "drop":
                del parent[name.split("/")[-1]]
            elif what == "link":
                short = name.split("/")[-1]
                del parent[short]
                parent[short] = random.choice((h5py.SoftLink("/"), h5py.ExternalLink("/etc/passwd", "/"), file["/"]))
            elif isinstance(thing, h5py.Dataset):
                short, shape = name.split("/")[-1], thing.shape or ()
                old = None if h5py.check_string_dtype(thing.dtype) else thing[()]
                del parent[short]
                if what == "text":
                    parent[short] = random.choice(("x", "=1", "\x1b[31m", "NIRGraph", "Affine", "a" * 3000))
                elif what == "huge":
                    big = random.choice(((2**40,), (2**20, 2**20), (2**31,), (0,), (2**16,) * 3))
                    chunks = tuple(min(n or 1, 64) for n in big)
                    parent.create_dataset(short, big, "f4", chunks=chunks, maxshape=(None,) * len(big))
                elif old is None or random.random() < 0.3:
                    kinds = (np.zeros((0, 3)), np.zeros(shape, "i8"), np.zeros(shape, "c8"))
                    parent[short] = random.choice((np.nan, np.inf, -1.0, 2**62, *kinds))
                else:
                    values = np.array(old, np.float64)
                    bad = random.choice((np.nan, np.inf, -1e30, 1e30, 0.0, -1.0, 1e308))
                    if values.ndim:
                        values.reshape(-1)[random.randrange(max(values.size, 1)) if values.size else 0 :] = bad
                    parent[short] = random.choice((values, values.T, values[..., None], values.reshape(-1), bad))
        return path.read_bytes()


WHAT_OF_ONNX = ("operator", "input", "output", "dims", "tensor", "drop", "double", "external", "opset", "new")
OPERATORS = ("Relu", "Add", "Loop", "Reshape", "Concat", "MatMul", "Pad", "x", "Expand", "Tile", "ConstantOfShape")


def in_onnx(good: bytes, random: Random) -> bytes:
    """A model that stays a model: other attributes, names, dimensions, operators, stored tensors."""
    import onnx
    from onnx import helper

    model = onnx.load_from_string(good)
    graph = model.graph
    node = random.choice(graph.node)
    what = random.choice(("attribute", "attribute", *WHAT_OF_ONNX))
    stored = [tensor.name for tensor in graph.initializer]
    if what == "attribute" and node.attribute:
        attribute = random.choice(node.attribute)
        if attribute.ints:
            attribute.ints[random.randrange(len(attribute.ints))] = random.choice((0, -1, 2**31, 2**62, 3, -(2**63)))
        else:
            value = random.choice((0, -1, 2**40, 0.5, "x", [1, 2], [2**40]))
            attribute.CopyFrom(helper.make_attribute(attribute.name, value))
    elif what == "new":
        names = ("axis", "perm", "pads", "group", "strides", "to", "keepdims", "alpha")
        node.attribute.append(helper.make_attribute(random.choice(names), random.choice((0, -1, 2**40, [1, 2], "x"))))
    elif what == "operator":
        node.op_type = random.choice(OPERATORS)
    elif what == "input" and node.input:
        node.input[random.randrange(len(node.input))] = random.choice(("", "x", *node.output, *stored))
    elif what == "output":
        node.output[0] = random.choice(("", "x", "y"))
    elif what == "dims" and graph.input:
        for dim in graph.input[0].type.tensor_type.shape.dim:
            if random.random() < 0.5:
                dim.dim_value = random.choice((0, 1, -1, 2**31, 2**62, 3))
    elif what == "tensor" and graph.initializer:
        tensor = random.choice(graph.initializer)
        if random.random() < 0.5 and tensor.dims:
            tensor.dims[random.randrange(len(tensor.dims))] = random.choice((0, -1, 2**40, 2**62, 1))
        else:
            tensor.data_type = random.randrange(30)
    elif what == "external" and graph.initializer:
        tensor = random.choice(graph.initializer)
        tensor.ClearField("raw_data")
        tensor.data_location = onnx.TensorProto.EXTERNAL
        entries = {"location": ("x", "../x", "/etc/passwd", "net.onnx", ""), "length": ("4", "-1", "99999999999", "x")}
        for key, values in entries.items():
            entry = tensor.external_data.add()
            entry.key, entry.value = key, random.choice(values)
    elif what == "drop":
        graph.node.remove(node)
    elif what == "double":
        graph.node.append(node)
    elif what == "opset":
        model.opset_import[0].version = random.choice((0, 1, 5, 99, 2**62))
    return model.SerializeToString()


def in_png(good: bytes, random: Random) -> bytes:
    """A chunk with other contents and the right checksum, such as 60,000 × 60,000 pixels."""
    chunks, at = [], 8
    while at < len(good):
        length = int.from_bytes(good[at : at + 4], "big")
        chunks.append((good[at + 4 : at + 8], good[at + 8 : at + 8 + length]))
        at += 12 + length
    k = random.randrange(len(chunks))
    kind, content = chunks[k]
    if kind == b"IHDR" and random.random() < 0.7:
        sizes = (0, 1, 5, 60_000, 2**31 - 1)
        content = struct.pack(">II", random.choice(sizes), random.choice(sizes)) + content[8:]
    elif content:
        content = random.choice(BYTES)(content, random)
    chunks[k] = (kind, content)
    made = good[:8]
    for kind, content in chunks:
        made += struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
    return made
