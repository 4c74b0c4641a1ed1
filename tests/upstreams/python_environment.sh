# shellcheck shell=bash
# Sourced: python_environment NAME REQUIREMENTS makes a Python environment in the cache, once for each
# content of the requirements file, with the system's Python. Sets $cache.
cache=${ROLECALL_TEST_CACHE:-${ROLECALL_CACHE:-/var/cache/rolecall}/tests}

python_environment() {
    local target=$cache/$1 wanted
    wanted=$(cksum <"$2")
    [ "$(cat "$target/.made-from" 2>/dev/null)" != "$wanted" ] || return 0
    mkdir -p "$cache"
    (
        flock 9
        [ "$(cat "$target/.made-from" 2>/dev/null)" != "$wanted" ] || exit 0
        /usr/bin/python3 -c 'import ensurepip, venv' 2>/dev/null ||
            DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends python3-venv >&2
        rm -rf "$target"
        /usr/bin/python3 -m venv "$target" >&2
        "$target/bin/pip" install -q --disable-pip-version-check --no-deps -r "$2" >&2
        echo "$wanted" >"$target/.made-from"
    ) 9>"$cache/.$1.lock"
}
