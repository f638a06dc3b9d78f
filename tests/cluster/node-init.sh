#!/usr/bin/env bash
# node-init.sh PART: the first process of the cluster's pid, mount, network,
# cgroup, UTS and IPC namespaces: lays out what the control plane needs, and
# unless PART is `api` what a node has, then only reaps. Killing it ends every
# process in them. Started by up.sh.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
part=$1
read -r pid _ </proc/self/stat   # still the outer /proc: the outer pid

# The cluster's own /proc, /sys, /run.
file_systems() {
	mount --make-rprivate /
	mount --make-rshared /       # kubelet wants shared, but nothing goes back out
	# Nothing of the machine's own /run is kept alive from in here.
	awk '$5 ~ "^/run(/|$)"{print $5}' /proc/self/mountinfo | tac | while read -r m; do umount -l "$m" || true; done
	mount -t proc proc /proc
	mount -t sysfs sysfs /sys
	mount -t tmpfs -o mode=755 tmpfs /run
	mkdir -p /run/lock /run/netns
}

# A network without an uplink: all of it is the loopback device.
loopback() {
	ip link set lo up
	ip addr add "$NODE_IP/32" dev lo
}

# A network without an uplink: loopback, and a veth pair to a second network
# namespace ("wan") that stands for all the rest, has the default gateway's
# address and is connected to nothing else.
network() {
	unshare -n "$BIN/pause" &
	local wan=$!
	while [ "$(readlink /proc/$wan/ns/net)" = "$(readlink /proc/self/ns/net)" ]; do sleep 0.02; done
	ip link set lo up
	ip addr add "$MARK/128" dev lo nodad
	ip link add node0 type veth peer name wan0
	ip link set wan0 netns "$wan"
	w() { nsenter -t "$wan" -n "$@"; }
	w ip link set lo up
	w ip addr add "$GATEWAY/24" dev wan0
	w ip link set wan0 up
	w ip route add "$PODS" via "$NODE_IP"
	ip addr add "$NODE_IP/24" dev node0
	ip link set node0 up
	ip route add default via "$GATEWAY"
	echo "$wan" >"$RUN/wan"      # its pid in here
	echo 1 >/proc/sys/net/ipv4/ip_forward
}

cgroup_mounts() {
	if [ "$unified" = /sys/fs/cgroup ]; then
		mount -t cgroup2 cgroup2 /sys/fs/cgroup
		return
	fi
	mount -t tmpfs -o mode=755 tmpfs /sys/fs/cgroup
	mkdir /sys/fs/cgroup/unified
	mount -t cgroup2 cgroup2 /sys/fs/cgroup/unified
	while IFS=: read -r id ctrl _; do
		[ "$id" != 0 ] || continue
		d=/sys/fs/cgroup/${ctrl#name=} o=$ctrl
		[ "$o" = "${o#name=}" ] || o=none,$o
		mkdir "$d"
		mount -t cgroup -o "$o" cgroup "$d" || rmdir "$d"
	done </proc/self/cgroup
}

# What a node has besides, and a writable layer over what it fills.
node_file_systems() {
	cgroup_mounts                # each rooted at the node's own cgroup
	mount -t bpf bpf /sys/fs/bpf
	mount -t debugfs debugfs /sys/kernel/debug 2>/dev/null || true
	mount -t tracefs tracefs /sys/kernel/tracing 2>/dev/null || true
	mount -t securityfs securityfs /sys/kernel/security 2>/dev/null || true
	mkdir -p /run/cgroup2
	mount -t cgroup2 cgroup2 /run/cgroup2     # the same path in either mode
	for d in etc var/lib var/log; do
		u=$RUN/upper/$d w=$RUN/overlay/$d
		mkdir -p "$u" "$w"
		mount -t overlay -o "lowerdir=/$d,upperdir=$u,workdir=$w" overlay "/$d"
	done
	# Container layers and volumes cannot lie on an overlay themselves.
	for d in containerd kubelet cni; do
		mkdir -p "$RUN/$d" "/var/lib/$d"
		mount --bind "$RUN/$d" "/var/lib/$d"
	done
	mount --make-rshared /
}

# What kubelet would set for the whole machine it finds already set.
tunable() {
	local f=/proc/sys/$1
	[ -e "$f" ] || return 0
	echo "$2" >"$RUN/tunables/${1//\//.}"
	mount --bind "$RUN/tunables/${1//\//.}" "$f"
}

tunables() {
	# A /proc with mounts in it no longer counts as fully visible, and without
	# one that does no user namespace may mount its own: hence the second.
	mkdir -p "$RUN/tunables" /run/proc
	mount -t proc proc /run/proc
	tunable vm/overcommit_memory 1
	tunable vm/panic_on_oom 0
	tunable kernel/panic 10
	tunable kernel/panic_on_oops 1
	tunable kernel/keys/root_maxkeys 1000000
	tunable kernel/keys/root_maxbytes 25000000
}

node_files() {
	printf '127.0.0.1 localhost\n%s %s\n' "$NODE_IP" "$NODE" >/etc/hosts
	: >/etc/resolv.conf
	mkdir -p /etc/cni/net.d /etc/kubernetes/manifests
	cp "$RUN/etc/10-pods.conflist" /etc/cni/net.d/
}

# This process moves down too: a version 2 cgroup that hands controllers to its
# children holds no process itself.
hand_out_controllers() {
	for d in /sys/fs/cgroup /sys/fs/cgroup/*; do
		[ ! -e "$d/daemons/cgroup.procs" ] || echo 0 >"$d/daemons/cgroup.procs"
	done
	u=/sys/fs/cgroup; [ -e $u/cgroup.controllers ] || u=$u/unified
	for c in $(cat $u/cgroup.controllers); do
		echo "+$c" >$u/cgroup.subtree_control || true
	done
}

file_systems
hostname "$NODE"
if [ "$part" = api ]; then
	loopback
else
	node_file_systems
	tunables
	node_files
	network
	hand_out_controllers
fi
echo "$pid" >"$RUN/pid.new" && mv "$RUN/pid.new" "$RUN/pid"
exec "$BIN/pause"
