#!/usr/bin/env bash
# Planted defects are found by comparing with the original's goldens, and located; see mutations.py.
if [ -n "$TESS_SANITIZED" ]; then
    echo "ok 1 - planted defects # SKIP the release build's matter"
    echo "1..1"
    exit 0
fi
exec python3 tests/mutation/mutations.py
