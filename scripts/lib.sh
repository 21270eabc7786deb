# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What the scripts share. To be sourced from the top folder of the project:
#
#   hvc_setup GROUP...            install what the groups need (scripts/setup)
#   hvc_build DIR [ARGUMENT...]   configure (with the arguments) and make, out of tree, in DIR
#   hvc_build_static DIR ARCH TARGET...   the same for static programs of that architecture
#   hvc_say TEXT                  a line of progress
#   hvc_quietly LOG COMMAND...    run with its output in LOG; on failure show the end of LOG
#   hvc_files                     the names of all files of the project

hvc_say() {
    printf '%s: %s\n' "$(basename "$0")" "$*"
}

hvc_tail() {
    echo "--- the last 40 lines of $1"
    tail -n 40 "$1"
    echo "---"
}

hvc_quietly() {
    local log=$1 status=0
    shift
    mkdir -p "$(dirname "$log")"
    "$@" >"$log" 2>&1 </dev/null || status=$?
    [ "$status" = 0 ] || hvc_tail "$log" >&2
    return "$status"
}

hvc_setup() {
    scripts/setup "$@"
}

# What git knows or would add; of an unpacked release, all but what was generated.
hvc_files() {
    if [ -e .git ]; then
        git ls-files --cached --others --exclude-standard | while read -r file; do
            [ ! -f "$file" ] || printf '%s\n' "$file"
        done
    else
        find . \( -name build -o -name build-aux -o -name m4 -o -name autom4te.cache \) -prune -o \
            -type f -not -name configure -not -name 'configure~' -not -name Makefile.in -not -name aclocal.m4 \
            -printf '%P\n'
    fi
}

hvc_jobs() {
    nproc 2>/dev/null || echo 1
}

# The functions below chain with && because callers may run them where set -e is off.

# Makefile.in and configure renew themselves from then on.
hvc_autogen() {
    [ -x configure ] && [ -x build-aux/install-sh ] || ./autogen.sh
}

# The arguments are remembered: the same ones again need no new configure.
hvc_configure() {
    local dir=$1 top=$PWD
    shift
    if [ -f "$dir/Makefile" ] && [ "$(cat "$dir/.configured" 2>/dev/null)" = "$*" ]; then
        return 0
    fi
    if [ -f config.status ]; then
        hvc_say "there is a build in the source folder: run 'make distclean' first" >&2
        return 1
    fi
    mkdir -p "$dir" &&
        (cd "$dir" && "$top/configure" -q "$@") &&
        printf '%s\n' "$*" >"$dir/.configured"
}

hvc_make_all() {
    hvc_autogen && hvc_configure "$@" && make -C "$1" -j"$(hvc_jobs)" V=0
}

hvc_build() {
    local dir=$1
    [ -f "$dir/Makefile" ] || hvc_say "building in $dir (the first time takes a minute)"
    hvc_quietly "$dir/build.log" hvc_make_all "$@"
}

# What is built for another architecture than this machine's comes from scripts/cross; 77: it is not
# to be had.
hvc_make_static() {
    local dir=$1 arch=$2 prefix ldflags=-all-static arguments=(--disable-shared --enable-werror)
    shift 2
    if [ "$arch" != "$(uname -m)" ]; then
        prefix=$(scripts/cross "$arch") || return
        ldflags="-L$prefix/lib -all-static"
        arguments+=(--host="$arch-linux-gnu" PKG_CONFIG_LIBDIR="$prefix/lib/pkgconfig"
            CPPFLAGS="-isystem $prefix/include" LDFLAGS="-L$prefix/lib")
    fi
    hvc_autogen && hvc_configure "$dir" "${arguments[@]}" &&
        make -C "$dir" -j"$(hvc_jobs)" V=0 LDFLAGS="$ldflags" "$@"
}

hvc_build_static() {
    local dir=$1
    [ -f "$dir/Makefile" ] || hvc_say "building in $dir (the first time takes a minute)" >&2
    hvc_quietly "$dir/build.log" hvc_make_static "$@"
}
