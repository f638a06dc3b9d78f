#!/usr/bin/env bash
# node.sh CMD...: runs a command on the node, outside any pod. Without a node
# it runs beside the control plane.
. "$(dirname "$0")/lib.sh"
must_be_up
node "$@"
