"""How a trace's tokens were routed: python3 tests/support/routing.py TRACE N_EXPERT

One line a layer, and one for the mean of all: its number (or "mean"), the share of choices that went to the most chosen
quarter of the experts, and the share of a token's experts that the token before it had chosen too.
"""

import collections
import json
import re
import struct
import sys

path, n_expert = sys.argv[1], int(sys.argv[2])
with open(path, "rb") as file:
    header = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
    begin = file.tell()
    rows = []
    for name, entry in header.items():
        layer = re.fullmatch(r"tap\.thinker\.model\.layers\.(\d+)\.mlp\.gate\.indices", name)
        if not layer:
            continue
        n_token, n_used = entry["shape"]
        file.seek(begin + entry["data_offsets"][0])
        ids = struct.unpack(f"<{n_token * n_used}q", file.read(8 * n_token * n_used))
        counts = sorted(collections.Counter(ids).values(), reverse=True)
        sets = [set(ids[i : i + n_used]) for i in range(0, len(ids), n_used)]
        kept = sum(len(a & b) for a, b in zip(sets, sets[1:]))
        rows.append((int(layer[1]), sum(counts[: n_expert // 4]) / len(ids), kept / (n_used * (n_token - 1))))
for number, top, kept in sorted(rows):
    print(f"{number} {top:.4f} {kept:.4f}")
print(f"mean {sum(r[1] for r in rows) / len(rows):.4f} {sum(r[2] for r in rows) / len(rows):.4f}")
