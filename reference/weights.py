"""The weights of a checkpoint in the published layout, read into modules that were built on the meta device.

Nothing is mapped: every byte comes by `preadv` into the memory the module computes with, or, where the stored dtype is
another, through one buffer of 16 MiB. An expert is read when the router has chosen it, an embedding row when a token
asks for it; memory nobody touches is never resident.
"""

import os
from pathlib import Path

import torch

import tracefile

CHUNK_BYTES = 16 << 20
STORED = {"BF16": torch.bfloat16, "F32": torch.float32, "F16": torch.float16}


class BadInput(Exception):
    """The checkpoint or the request is wrong; the message names the file or tensor, what was found and expected."""


class Weights:
    """Where every tensor lies; shards stay open."""

    def __init__(self, folder):
        self.places, self.stamp, self.files = {}, [], []
        self.buffer = torch.empty(CHUNK_BYTES, dtype=torch.uint8)
        try:
            paths = tracefile.shards(folder)
        except (ValueError, KeyError) as error:
            raise BadInput(f"{Path(folder) / 'model.safetensors.index.json'}: {error}") from error
        for path in paths:
            self.open_shard(path)

    def open_shard(self, path):
        try:
            header, start = tracefile.read_header(path)
            ends = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"]
        except FileNotFoundError:
            raise
        except (ValueError, KeyError, TypeError, tracefile.struct.error) as error:
            raise BadInput(f"{path}: not a safetensors file: {error}") from error
        file = os.open(path, os.O_RDONLY)
        self.files.append(file)
        status = os.fstat(file)
        if status.st_size < start + max(ends, default=0):
            raise BadInput(f"{path}: found {status.st_size} bytes, its header expects {start + max(ends)}")
        self.stamp.append((path.name, status.st_size, status.st_mtime_ns))
        for name, entry in header.items():
            if name != "__metadata__":
                self.places[name] = (file, path, start + entry["data_offsets"][0], entry["dtype"], entry["shape"])

    def close(self):
        for file in self.files:
            os.close(file)
        self.files = []

    def expect(self, name, shape):
        """Refuses a tensor that is absent, or not of this shape and a known dtype."""
        if name not in self.places:
            raise BadInput(f"{name}: not in the checkpoint")
        _, path, _, stored, found = self.places[name]
        if list(shape) != found or stored not in STORED:
            raise BadInput(f"{path}: {name}: found {stored} {found}, expected {list(shape)} in one of {', '.join(STORED)}")

    def read_into(self, target, name, row=0):
        """Fills a contiguous tensor with the rows of `name` from `row` on, converting exactly as `.to()` does."""
        file, path, offset, stored, shape = self.places[name]
        flat, dtype = target.view(-1), STORED[stored]
        offset += row * int(torch.Size(shape[1:]).numel()) * dtype.itemsize
        if flat.dtype == dtype:
            self.read_bytes(file, flat.view(torch.uint8), offset, path, name)
            return
        step = CHUNK_BYTES // dtype.itemsize
        for begin in range(0, flat.numel(), step):
            part = flat[begin : begin + step]
            raw = self.buffer[: part.numel() * dtype.itemsize]
            self.read_bytes(file, raw, offset + begin * dtype.itemsize, path, name)
            part.copy_(raw.view(dtype))

    @staticmethod
    def read_bytes(file, target, offset, path, name):
        view, done = memoryview(target.numpy()), 0
        while done < len(view):
            count = os.preadv(file, [view[done : done + CHUNK_BYTES]], offset + done)
            if not count:
                raise BadInput(f"{path}: {name}: the file ends at byte {offset + done}")
            done += count

    def parts(self, module, prefix):
        """(parameter, published name, index in the parameter, shape) of what a module is filled from."""
        for name, parameter in module.named_parameters():
            stem, shape = prefix + name, parameter.shape
            if name.endswith("experts.gate_up_proj"):
                stem, half = stem.removesuffix("gate_up_proj"), shape[1] // 2
                for expert in range(shape[0]):
                    yield parameter, f"{stem}{expert}.gate_proj.weight", (expert, slice(0, half)), (half, shape[2])
                    yield parameter, f"{stem}{expert}.up_proj.weight", (expert, slice(half, None)), (half, shape[2])
            elif name.endswith("experts.down_proj"):
                stem = stem.removesuffix("down_proj")
                for expert in range(shape[0]):
                    yield parameter, f"{stem}{expert}.down_proj.weight", (expert,), shape[1:]
            else:
                yield parameter, stem, (), shape

    def check(self, module, prefix):
        for _, name, _, shape in self.parts(module, prefix):
            self.expect(name, shape)

    def fill(self, module, prefix):
        """Gives a module on the meta device memory and weights; experts follow when the router has chosen them."""
        module.to_empty(device="cpu")
        experts = {}
        for parameter, name, index, _ in self.parts(module, prefix):
            if ".experts." in name:
                expert = experts.setdefault(index[0], [])
                expert.append((parameter, name, index))
            else:
                self.read_into(parameter.data, name)
        if experts:
            module.get_submodule("mlp.experts").register_forward_pre_hook(lambda _, inputs: self.lend(experts, inputs[1]))
        return module.eval()

    def lend(self, experts, chosen):
        for expert in chosen.unique().tolist():
            for parameter, name, index in experts.pop(expert, ()):
                self.read_into(parameter.data[index], name)

    def fill_rows(self, module, prefix, rows):
        """The same for an embedding, of which only `rows` are asked for."""
        module.to_empty(device="cpu")
        for row in sorted(set(rows)):
            self.read_into(module.weight.data[row], prefix + "weight", row)
        return module.eval()


def release(module):
    """Gives a module's memory back now, whoever still holds the module."""
    for parameter in module.parameters():
        parameter.data = torch.empty(0)
