#!/bin/sh
# Set up .venv with everything that reconx_ros needs; what is done already is not done again.
# PYTHON=... chooses the interpreter; otherwise it is the first of 3.11, 3.12 and 3.10 that works.
set -eu
cd "$(dirname "$0")/.."

# Other prefixes than our own on AMENT_PREFIX_PATH mean that a ROS 2 is sourced.
sourced=$(printf '%s' "${AMENT_PREFIX_PATH:-}" | tr ':' '\n' | grep -vxF -e "" -e "$PWD/.venv" | tr '\n' ' ')

# A command can exist and yet not run (version managers put such shims on the PATH), and a sourced
# ROS 2 works only with the Python it was built for.
works() {
    "$1" -c 'import sys; assert (3, 10) <= sys.version_info < (3, 13)' >/dev/null 2>&1 || return 1
    [ -z "$sourced" ] || "$1" -c 'import rclpy' >/dev/null 2>&1
}

for python in ${PYTHON:-python3.11 python3.12 python3.10 python3}; do
    if works "$python"; then
        exec "$python" -B scripts/environment
    fi
done

if [ -n "$sourced" ]; then
    echo "Error: ROS 2 is sourced (${sourced% }), but no Python 3.10 to 3.12 here can import its rclpy" >&2
else
    echo "Error: no Python 3.10 to 3.12 found; install one or name it: make setup PYTHON=/path/to/python3.11" >&2
fi
exit 2
