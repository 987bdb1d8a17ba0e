"""Safetensors files as Tessera writes them, and the identity of a checkpoint.

A trace or golden is one safetensors file of `in.*` and `tap.*` tensors (F32 and I64). The writer here is
deterministic: metadata and tensors are sorted, so equal content is an equal file.

Identity. `weights_sha256` is the SHA-256 of one UTF-8 line per tensor of the checkpoint,

    NAME SP DTYPE SP SHAPE SP HEX LF

NAME as in the shard's header, DTYPE as in the header ("BF16"), SHAPE as "[d0, d1]" (decimal, comma and one blank
between, "[]" for a scalar), HEX the lower-case SHA-256 of the tensor's bytes as they lie in the shard, LF one byte
0x0A after every line, the last one too; the lines are sorted as byte strings. `config_sha256` is the SHA-256 of the
bytes of config.json.
"""

import hashlib
import json
import struct
from pathlib import Path

import numpy as np

DTYPES = {"F32": np.float32, "I64": np.int64}
ITEM_BYTES = {"F64": 8, "I64": 8, "F32": 4, "I32": 4, "BF16": 2, "F16": 2, "U8": 1, "BOOL": 1}
CHUNK_BYTES = 16 << 20


def read_header(path):
    """Returns (header dict with "__metadata__", file offset of the data)."""
    with open(path, "rb") as file:
        (size,) = struct.unpack("<Q", file.read(8))
        return json.loads(file.read(size)), 8 + size


def read(path):
    """Returns (tensors by name as arrays, metadata) of a trace or golden."""
    header, start = read_header(path)
    metadata = header.pop("__metadata__", {})
    data = Path(path).read_bytes()[start:]
    tensors = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        tensors[name] = np.frombuffer(data[begin:end], DTYPES[entry["dtype"]]).reshape(entry["shape"])
    return tensors, metadata


def encode_header(entries, metadata):
    """The bytes before the data, of tensors given as (name, dtype, shape, bytes), in that order."""
    header = {"__metadata__": dict(sorted(metadata.items()))} if metadata else {}
    offset = 0
    for name, dtype, shape, size in entries:
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [offset, offset + size]}
        offset += size
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text


def write_raw(path, entries, metadata):
    """Writes tensors given as (name, dtype, shape, buffer), in that order."""
    sizes = [(name, dtype, shape, memoryview(data).nbytes) for name, dtype, shape, data in entries]
    with open(path, "wb") as file:
        file.write(encode_header(sizes, metadata))
        for _, _, _, data in entries:
            file.write(data)


def trace_order(entry):
    """Integer tensors first (their alignment), then floats, each sorted by name."""
    return {"I64": 0, "F32": 1}[entry[1]], entry[0]


def write(path, tensors, metadata):
    """Writes a trace. An array of the right dtype is not copied."""
    entries = []
    for name, array in tensors.items():
        dtype = "I64" if array.dtype.kind == "i" else "F32"
        data = np.ascontiguousarray(array, DTYPES[dtype])
        entries.append((name, dtype, array.shape, data.reshape(-1).view(np.uint8).data))
    entries.sort(key=trace_order)
    write_raw(path, entries, metadata)


def merge(path, sources, metadata):
    """Writes the trace that holds the tensors of all `sources`, byte for byte as write() would, 16 MiB at a time."""
    entries = []
    for source in sources:
        header, start = read_header(source)
        header.pop("__metadata__", None)
        for name, entry in header.items():
            begin, end = entry["data_offsets"]
            entries.append((name, entry["dtype"], entry["shape"], end - begin, source, start + begin))
    entries.sort(key=trace_order)
    with open(path, "wb") as out:
        out.write(encode_header([entry[:4] for entry in entries], metadata))
        for _, _, _, size, source, offset in entries:
            with open(source, "rb") as file:
                file.seek(offset)
                for begin in range(0, size, CHUNK_BYTES):
                    out.write(file.read(min(CHUNK_BYTES, size - begin)))


def shards(folder):
    """The shard files of a checkpoint: those its index names, else the single file."""
    folder = Path(folder)
    index = folder / "model.safetensors.index.json"
    if index.exists():
        return sorted(folder / name for name in set(json.loads(index.read_text())["weight_map"].values()))
    return [folder / "model.safetensors"]


def identity(folder):
    """Returns {"config_sha256", "weights_sha256"} of a checkpoint (see the top of this file)."""
    lines = []
    for shard in shards(folder):
        header, start = read_header(shard)
        header.pop("__metadata__", None)
        with open(shard, "rb") as file:
            for name, entry in header.items():
                begin, end = entry["data_offsets"]
                file.seek(start + begin)
                digest = hashlib.sha256()
                for done in range(begin, end, CHUNK_BYTES):
                    digest.update(file.read(min(CHUNK_BYTES, end - done)))
                shape = ", ".join(str(n) for n in entry["shape"])
                lines.append(f"{name} {entry['dtype']} [{shape}] {digest.hexdigest()}\n".encode())
    config = (Path(folder) / "config.json").read_bytes()
    return {
        "config_sha256": hashlib.sha256(config).hexdigest(),
        "weights_sha256": hashlib.sha256(b"".join(sorted(lines))).hexdigest(),
    }
