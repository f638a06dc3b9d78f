#!/usr/bin/env bash
# wan.sh CMD...: runs a command in the network namespace beyond the node's
# default gateway, where a test puts the servers that are outside a cluster.
. "$(dirname "$0")/lib.sh"
must_be_up
has_node || die "the control plane alone has nothing beyond it"
wan "$@"
