#!/bin/sh
# Whether all code is formatted. A minimal toolchain has no rustfmt; that is no
# reason to refuse its owner the tests. The argument is the cargo command.
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
# shellcheck source=scripts/lib.sh
. "$here/lib.sh"

if ! "$1" fmt --version >/dev/null 2>&1; then
    say "rustfmt is not installed; the formatting was not checked (rustup component add rustfmt)"
    exit 0
fi
"$1" fmt --all --check || stop "some code is not formatted; to format it:" "cargo fmt --all"
