# Sourced by the scripts here: where things are, and how steps are run and counted.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
export PATH=/usr/sbin:/usr/bin:/sbin:/bin:$PATH   # Debian's tools and python3 before any others
jobs=${SLUICE_JOBS:-$(nproc)}

# For scripts that count: one line a step, "passed failed skipped name", shared by a script and those it calls.
count_results() {
    outermost=0
    [ -z "${SLUICE_RESULTS:-}" ] || return 0
    SLUICE_RESULTS=$(mktemp -t sluice-results.XXXXXX)
    export SLUICE_RESULTS
    trap 'rm -f "$SLUICE_RESULTS"' EXIT
    outermost=1
}

say() { printf '\n== %s\n' "$*"; }
fail() { printf '%s: %s\n' "$(basename "$0")" "$*" >&2; exit 1; }

# Prints the block of comments at the top of a script.
usage() { sed -n '2,/^[^#]/{/^#/s/^# \{0,1\}//p}' "$0"; }

record() { printf '%s %s %s %s\n' "$1" "$2" "$3" "$4" >>"$SLUICE_RESULTS"; }

# skip NAME WHY: where everything should be there (SLUICE_STRICT=1), that is a failure.
skip() {
    printf 'skipped: %s: %s\n' "$1" "$2"
    if [ "${SLUICE_STRICT:-0}" = 1 ]; then record 0 1 0 "$1"; else record 0 0 1 "$1"; fi
}

# step NAME COMMAND...: runs it, counts it as one.
step() {
    local name=$1 begin=$SECONDS
    shift
    say "$name"
    if "$@"; then
        record 1 0 0 "$name"
    else
        printf 'FAILED: %s\n' "$name"
        record 0 1 0 "$name"
    fi
    printf -- '-- %s: %d s\n' "$name" $((SECONDS - begin))
}

# suite NAME DIR COMMAND...: runs it and counts the cases of the JUnit files it leaves in DIR, passed on as
# SLUICE_JUNIT. A command that fails without a failed case counts as one failure.
suite() {
    local name=$1 dir=$2 begin=$SECONDS status=0
    shift 2
    say "$name"
    rm -rf "$dir" && mkdir -p "$dir"
    SLUICE_JUNIT=$dir GTEST_OUTPUT=xml:$dir/ "$@" || status=$?
    [ $status -eq 0 ] || printf 'FAILED: %s\n' "$name"
    python3 "$root/scripts/count-tests" "$name" "$status" "$dir" >>"$SLUICE_RESULTS"
    printf -- '-- %s: %d s\n' "$name" $((SECONDS - begin))
}

# abreast COMMAND...: runs it beside others, as many at a time as there are CPUs, and prints what it says in one piece. For steps
# and suites that need nothing but a CPU. await_all waits until all have ended.
declare -A abreast_output=()
abreast() {
    local output
    [ ${#abreast_output[@]} -lt "$jobs" ] || await_one
    output=$(mktemp -t sluice-output.XXXXXX)
    "$@" >"$output" 2>&1 &
    abreast_output[$!]=$output
}
await_one() {
    local pid
    wait -n -p pid "${!abreast_output[@]}"
    cat "${abreast_output[$pid]}"
    rm -f "${abreast_output[$pid]}"
    unset "abreast_output[$pid]"
}
await_all() { while [ ${#abreast_output[@]} -gt 0 ]; do await_one; done; }

# Prints the table and the closing line and ends the script, if it is the outermost.
finish() {
    [ "$outermost" = 1 ] || exit 0
    say "summary"
    awk '{ name = $4; for (i = 5; i <= NF; i++) name = name " " $i
           printf "%-44s %6d passed %4d failed %4d skipped\n", name, $1, $2, $3
           passed += $1; failed += $2; skipped += $3 }
         END { printf "\n%d passed, %d failed, %d skipped\n", passed, failed, skipped
               exit failed > 0 || passed == 0 }' "$SLUICE_RESULTS"
    exit $?
}

is_root() { [ "$(id -u)" = 0 ]; }

# Why network namespaces cannot be used here; empty if they can.
no_namespaces() {
    if ! is_root; then
        echo "needs root (sudo)"
    elif ! unshare -n true 2>/dev/null; then
        echo "network namespaces cannot be created here"
    fi
}

