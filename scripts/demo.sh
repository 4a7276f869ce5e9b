#!/bin/sh
# The demo: a fresh home in ./.thrall-demo, real messages through the whole path,
# and what to try next. The arguments are the thrall command.
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
# shellcheck source=scripts/lib.sh
. "$here/lib.sh"

home=.thrall-demo
demo=tests/demo

cd -- "$here/.."
rm -rf "$home"
"$@" --home "$home" init 2>/dev/null
cp "$demo/thrall.toml" "$home/thrall.toml"
# One of the messages is too long, and a refused line is exit status 1.
"$@" --home "$home" ingest --table "$demo/messages.jsonl" || [ $? -eq 1 ]
"$@" --home "$home" journal verify

cat <<EOF

Three things to try next:
  $* --home $home explain demo-031      # one message's whole story
  $* --home $home journal list --action drop
  echo '{"trigger": "on_mail", "fields": {"from_node": "somebody", "body_text": "the relay is down"}}' | $* --home $home dryrun mail-triage --envelope -
EOF
