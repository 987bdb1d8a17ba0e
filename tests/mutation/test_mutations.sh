#!/usr/bin/env bash
# Planted defects are found by comparing with the original's goldens, and located; see mutations.py.
# Release build only: they are planted in its objects.
. tests/support/environment.sh
exec python3 tests/mutation/mutations.py
