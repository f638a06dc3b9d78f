#!/usr/bin/env bash
# image.sh NAME:TAG ENTRYPOINT -- SOURCE...: makes a one-layer image of local
# files and loads it into the node. A SOURCE is one of
#   FROM:TO     a file or a directory and where it goes
#   +PROGRAM    a program of this machine and the libraries it is linked with
#   busybox     a shell and every applet, in /bin
# Pods use it with imagePullPolicy IfNotPresent (the default with a tag) or Never.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
must_be_up
ref=$1 entry=$2; [ "$3" = -- ]; shift 3
t=$(mktemp -d "$WORK/image.XXXXXX"); trap 'rm -rf "$t"' EXIT
r=$t/rootfs; mkdir -p "$r"/{bin,etc,tmp,proc,sys,dev,root}; chmod 1777 "$r/tmp"
echo root:x:0:0::/root:/bin/sh >"$r/etc/passwd"

put() { mkdir -p "$r$(dirname "$2")"; cp -L "$1" "$r$2"; }
program() {
	put "$1" "/bin/$(basename "$1")"
	ldd "$1" 2>/dev/null | grep -o '/[^ ]*' | while read -r l; do put "$l" "$l"; done
}
for s in "$@"; do
	case $s in
	+*) program "$(command -v "${s#+}")" ;;
	busybox)
		cp "$(command -v busybox)" "$r/bin/busybox"
		for a in $(busybox --list); do [ -e "$r/bin/$a" ] || ln -s busybox "$r/bin/$a"; done ;;
	*) mkdir -p "$r/$(dirname "${s#*:}")"; cp -a "${s%%:*}" "$r/${s#*:}" ;;
	esac
done

case $(uname -m) in x86_64) arch=amd64 ;; aarch64) arch=arm64 ;; *) arch=$(uname -m) ;; esac
tar -C "$r" --sort=name --owner=0 --group=0 --numeric-owner --mtime=@0 -cf "$t/layer.tar" .
d=$(sha256sum "$t/layer.tar" | cut -d' ' -f1)
cat >"$t/config.json" <<JSON
{"architecture":"$arch","os":"linux","config":{"Entrypoint":["$entry"],"Env":["PATH=/bin:/usr/bin:/sbin"]},
 "rootfs":{"type":"layers","diff_ids":["sha256:$d"]}}
JSON
echo "[{\"Config\":\"config.json\",\"RepoTags\":[\"$ref\"],\"Layers\":[\"layer.tar\"]}]" >"$t/manifest.json"
tar -C "$t" -cf "$t/image.tar" manifest.json config.json layer.tar
node "$BIN/ctr" -n k8s.io images import "$t/image.tar" >"$t/log" 2>&1 || die "$(cat "$t/log")"
