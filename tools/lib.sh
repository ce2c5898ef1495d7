# shellcheck shell=bash
#
# tools/lib.sh: what the scripts in tools/ share. Source it, do not run it.
#
# It sets
#   top          the source tree
#   build        where everything built goes (JOBQ_BUILD, default $top/build)
#   server_user  who runs servers: empty for "me"; as root somebody else,
#                since PostgreSQL refuses to run as root (JOBQ_SERVER_USER,
#                default postgres, else nobody)

set -euo pipefail
umask 022

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
build=${JOBQ_BUILD:-$top/build}
server_user=
if [ "$(id -u)" -eq 0 ]; then
	if [ -n "${JOBQ_SERVER_USER:-}" ]; then
		server_user=$JOBQ_SERVER_USER
	elif id postgres >/dev/null 2>&1; then
		server_user=postgres
	else
		server_user=nobody
	fi
fi

# The scripts run make themselves; what an outer make says about jobs and
# its other settings is none of that one's business.
unset MAKEFLAGS MFLAGS MAKELEVEL MAKEOVERRIDES

say() {
	printf '%s\n' "$*" >&2
}

die() {
	say "${0##*/}: $*"
	exit 1
}

# as_server COMMAND...: run it as the user who runs servers.
as_server() {
	if [ -n "$server_user" ]; then
		setpriv --reuid="$server_user" \
			--regid="$(id -g "$server_user")" --init-groups "$@"
	else
		"$@"
	fi
}

# use_flavor debug|release: set the paths of the private installation that
# tools/private-install makes.
#   base     its directory
#   pg_root  the copy's root: $pg_root/usr/lib/... mirrors /usr/lib/...
#   pg_bin, pg_lib, pg_share, pg_test  programs, libraries, scripts,
#            and the directory of the test tools
use_flavor() {
	local pgxs
	PG_CONFIG=${PG_CONFIG:-pg_config}
	pgxs=$("$PG_CONFIG" --pgxs 2>/dev/null) || pgxs=
	[ -r "$pgxs" ] ||
		die "no PostgreSQL development files found by $PG_CONFIG (make deps)"
	base=$build
	[ "$1" = debug ] || base=$build/$1
	# The tools below read these.
	# shellcheck disable=SC2034
	{
		pg_root=$base/pg
		pg_bin=$pg_root$("$PG_CONFIG" --bindir)
		pg_lib=$pg_root$("$PG_CONFIG" --pkglibdir)
		pg_share=$pg_root$("$PG_CONFIG" --sharedir)
		pg_test=$pg_root${pgxs%/makefiles/pgxs.mk}/test
	}
}

# run_child COMMAND...: run a program and return its status, but let the
# caller's traps act at once when a signal comes, and end_child end all that
# the program started.
child=
child_group=
run_child() {
	local status
	if [ -t 0 ]; then
		# It may want to read from the terminal, so it stays in this process
		# group. Ctrl-C reaches it directly, and is its own to handle.
		trap : INT
		env --default-signal=INT,QUIT "$@" <&0 &
		child=$!
	else
		set -m
		"$@" <&0 &
		child=$!
		child_group=$child
		set +m
	fi
	while :; do
		status=0
		wait "$child" || status=$?
		kill -0 "$child" 2>/dev/null || break	# else only a signal came
	done
	child=
	child_group=
	return "$status"
}

# descendants PID: the processes it has started, and theirs.
descendants() {
	local pid pids=()
	read -r -a pids 2>/dev/null <"/proc/$1/task/$1/children" || true
	for pid in "${pids[@]}"; do
		echo "$pid"
		descendants "$pid"
	done
}

# end_child: end the program that run_child waits for, and its children.
end_child() {
	local i pids
	[ -n "$child" ] || return 0
	if [ -n "$child_group" ]; then
		pids=(-"$child_group")
	else
		mapfile -t pids < <(echo "$child"; descendants "$child")
	fi
	kill -TERM -- "${pids[@]}" 2>/dev/null || true
	for ((i = 0; i < 100; i++)); do
		kill -0 -- "${pids[@]}" 2>/dev/null || return 0
		sleep 0.1
	done
	kill -KILL -- "${pids[@]}" 2>/dev/null || true
}

# on_exit FUNCTION: call it once when the script ends, however it ends.
on_exit() {
	# shellcheck disable=SC2064
	trap "trap '' INT TERM HUP; end_child; $1" EXIT
	trap 'exit 129' HUP
	trap 'exit 130' INT
	trap 'exit 143' TERM
}

# stop_servers_below DIR: stop every server whose data directory lies there,
# for what a killed test left running.
stop_servers_below() {
	local file pid
	[ -d "$1" ] || return 0
	find "$1" -name postmaster.pid 2>/dev/null | while read -r file; do
		pid=$(head -n 1 "$file" 2>/dev/null) || continue
		[ "$(readlink "/proc/$pid/cwd" 2>/dev/null)" = "${file%/*}" ] ||
			continue
		kill -QUIT "$pid" 2>/dev/null || true
		for ((i = 0; i < 50; i++)); do
			kill -0 "$pid" 2>/dev/null || break
			sleep 0.1
		done
	done
	return 0
}

# copy_tree DIR: the sources, so that everybody can read them.
copy_tree() {
	tar -C "$top" --exclude=./build --exclude=./.git \
		--exclude='*.o' --exclude='*.bc' -cf - . |
		tar -C "$1" --no-same-owner -xf -
	chmod -R a+rX "$1"
}

# need_reachable ARGUMENTS...: does nothing where the user who runs servers
# can read the source tree. Where not (root's own home directory, usually),
# runs this script with these arguments from a copy that can be read, and
# exits with its status.
need_reachable() {
	local status=0
	[ -n "$server_user" ] || return 0
	mkdir -p "$build"
	if as_server test -r "$top/jobq.control" &&
		as_server test -x "$build"; then
		return 0
	fi
	copy=$(mktemp -d /tmp/jobq-tree-XXXXXX)
	# shellcheck disable=SC2016
	on_exit 'stop_servers_below "$copy"; rm -rf "$copy"'
	copy_tree "$copy"
	run_child env JOBQ_BUILD="$copy/build" \
		"$copy/tools/${0##*/}" "$@" || status=$?
	exit "$status"
}
