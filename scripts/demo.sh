#!/bin/sh
# The demo: a fresh home in ./.thrall-demo, real messages through the whole path,
# and what to try next. The arguments are the thrall command.
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
# shellcheck source=scripts/lib.sh
. "$here/lib.sh"

home=.thrall-demo
messages=tests/demo/messages.jsonl

cd -- "$here/.."
rm -rf "$home"
"$@" --home "$home" init
"$@" --home "$home" ingest "$messages"
