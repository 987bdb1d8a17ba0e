# Sourced, behind tap.sh, by tests that build for AArch64 and run in an emulator.

# need_aarch64 WHAT: $cross is the compiler and $run the emulator. Where one is missing the test ends here, skipped, and
# says so; with neon in TESS_REQUIRE_ISA it fails.
need_aarch64() {
    cross=${CROSS_CC:-aarch64-linux-gnu-gcc}
    run=$(command -v qemu-aarch64 || command -v qemu-aarch64-static)
    command -v "$cross" >/dev/null && [ -n "$run" ] && return
    case " ${TESS_REQUIRE_ISA:-} " in
    *" neon "*) result 1 "$1: no $cross or no qemu-aarch64" ;;
    *) skip "$1" "not tested: no $cross or no qemu-aarch64" ;;
    esac
    exit 0
}
