#!/bin/sh
# Fetches the models that the demo and the tests use, those that are missing.
# They are kept in a shared folder (THRALL_MODELS, by default the user's data
# folder), so a second checkout downloads nothing.
#
# Without a model recipes decide by their rules and fallbacks, so a failed
# download is a warning here. The arguments are the thrall command.
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
# shellcheck source=scripts/lib.sh
. "$here/lib.sh"

if ! "$@" model pull --missing; then
    say "some models are missing; going on without them (again later: make models)"
fi
