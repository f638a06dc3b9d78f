# Sourced by the other scripts: where things are, and how to get at them.
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
WORK=${WORK:-$here/.work}
mkdir -p "$WORK"
WORK=$(cd "$WORK" && pwd)
BIN=${BIN:-$here/.work/bin}    # from build.sh
NAME=${NAME:-cluster-$(printf %s "$WORK" | cksum | cut -d' ' -f1)}   # of its cgroups
RUN=$WORK/run                  # one cluster's state, made by up.sh, removed by down.sh
NODE_IP=10.77.0.2
GATEWAY=10.77.0.1              # the far end of the node's only link, in "wan"
NODE=node1
PODS=10.244.0.0/24
SERVICES=10.96.0.0/16
API_SERVICE_IP=10.96.0.1
API=https://$NODE_IP:6443
MARK=fd77:b9f:21a::150:1a7e    # says of a network that it is a test's own (tests/support)
PKI=$RUN/pki

# The machine's unified (version 2) cgroup hierarchy: all of /sys/fs/cgroup on
# most machines, a directory in it where version 1 controllers are mounted too
# ("hybrid").
unified=$(awk '$3=="cgroup2"{print $2; exit}' /proc/mounts)

# cgroup_dirs PART: the cgroups that the cluster is to have. The control plane
# alone only needs one to be found and ended by. A node needs one in every
# hierarchy, as its pods do.
cgroup_dirs() {
	echo "$unified/$NAME"
	[ "$1" != api ] || return 0
	while IFS=: read -r id ctrl path; do
		[ "$id" != 0 ] || continue
		mnt=$(awk -v c=",$ctrl," '$3=="cgroup" && index(","$4",", c){print $2; exit}' /proc/mounts)
		[ -z "$mnt" ] || echo "${mnt%/}${path%/}/$NAME"
	done </proc/self/cgroup
}

die() { echo "$*" >&2; exit 1; }
now() { date +%s%N; }
say() { awk -v a="${t0:-$(now)}" -v b="$(now)" -v m="$*" 'BEGIN{printf "%6.1fs %s\n", (b-a)/1e9, m}'; }
# Whether the cluster is up. Another process may have the number by now; that does not count.
is_up() { [ -s "$RUN/pid" ] && [ "$(readlink "/proc/$(cat "$RUN/pid")/exe")" = "$(realpath "$BIN/pause")" ]; }
must_be_up() { is_up || die "the cluster is not up"; }
# Whether the cluster has a node.
has_node() { [ -e "$RUN/wan" ]; }

# node CMD...: runs CMD in the cluster's namespaces and in its daemons' cgroup.
node() {
	bash -c '
		while read -r d; do echo $$ >"$d/daemons/cgroup.procs"; done <"$0" && exec "$@"' "$RUN/cgroups" \
		nsenter -t "$(cat "$RUN/pid")" -m -n -p -C -u -i --wdns="$PWD" -- \
		env PATH="$BIN:$PATH" HOME="$RUN/home" KUBECONFIG="$PKI/admin.kubeconfig" "$@"
}
# wan CMD...: the same, but in the network namespace beyond the node's gateway.
wan() { node nsenter -t "$(cat "$RUN/wan")" -n -- "$@"; }
kubectl() { node "$BIN/kubectl" "$@"; }

# daemon NAME ARGS...: starts one in the background, its output in a log. How, is kept for restart.sh.
daemon() {
	local name=$1; shift
	mkdir -p "$RUN/daemons"
	[ $# = 0 ] || printf '%s\0' "$@" >"$RUN/daemons/$name"
	node setsid "$BIN/$name" "$@" >>"$RUN/log/$name.log" 2>&1 </dev/null &
}

# pids_of NAME: the processes of a daemon, by what they were called with.
pids_of() {
	local pid first
	for pid in $(cat "$unified/$NAME/daemons/cgroup.procs"); do
		IFS= read -r -d '' first <"/proc/$pid/cmdline" 2>/dev/null || continue
		[ "$first" != "$BIN/$1" ] || echo "$pid"
	done
}

# wait_for SECONDS WHAT CMD...
wait_for() {
	local end=$(($(date +%s) + $1)) what=$2; shift 2
	until "$@" >/dev/null 2>&1; do
		[ "$(date +%s)" -lt "$end" ] || { tail -n 15 "$RUN"/log/*.log >&2; die "gave up waiting for $what"; }
		sleep 0.1
	done
}
