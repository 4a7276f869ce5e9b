#!/bin/sh
# Prints the build folder that is kept between runs, outside the checkout. Native
# code is compiled for this very processor, so another processor or another
# compiler gets another folder: what one built may not run on the other.
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
# shellcheck source=scripts/lib.sh
. "$here/lib.sh"

machine_key() {
    {
        rustc -vV
        rustc --print cfg -C target-cpu=native
        grep -m 1 -E '^(flags|Features)' /proc/cpuinfo 2>/dev/null ||
            sysctl -n machdep.cpu.brand_string 2>/dev/null ||
            uname -m
    } | short_hash
}

printf '%s/build-%s\n' "$(cache_folder)" "$(machine_key)"
