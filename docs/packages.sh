#!/bin/sh
# usage: docs/packages.sh GROUP ...
# Installs the Debian packages of these groups of docs/packages.txt that are
# missing; `GROUP-x86_64` there belongs to GROUP on such a machine only (uname).
# Anyone but root gets the exact line to run instead. With all present it takes
# a tenth of a second.
set -eu
list=$(dirname "$0")/packages.txt

wanted=
machine=$(uname -m)
for group; do
    for name in "$group" "$group-$machine"; do
        wanted="$wanted $(sed -n "s/^$name  *\([^ ]*\).*/\1/p" "$list")"
    done
done
missing=
# shellcheck disable=SC2086
have=$(dpkg-query -W -f '${Package} ${db:Status-Status}\n' $wanted 2>/dev/null |
    sed -n 's/ installed$//p' || true)
for package in $wanted; do
    printf '%s\n' "$have" | grep -qx "$package" || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

install="apt-get install -y --no-install-recommends$missing"
if [ "$(id -u)" != 0 ]; then
    echo "packages are missing; run: sudo $install" >&2
    exit 1
fi
echo "installing:$missing"
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
# shellcheck disable=SC2086
$install >/dev/null
