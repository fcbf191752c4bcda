#!/usr/bin/env bash
# Installs Debian's own programs that some tests run against, where that may be done: root, with apt-get. Elsewhere those tests are
# left out, and pytest names them; in CI that is a failure.
set -euo pipefail

missing=()
[ -x /usr/sbin/ngircd ] || missing+=(ngircd)
[ -x /usr/sbin/pgbouncer ] || missing+=(pgbouncer)
[ -x /usr/sbin/sshd ] || missing+=(openssh-server)
[ -x /usr/bin/sudo ] || missing+=(sudo)
compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || missing+=(postgresql)
/usr/bin/python3 -c 'import psycopg' 2>/dev/null || missing+=(python3 python3-psycopg)
# Hosts have Python from 3.8 on: the oldest that is here, or Debian's PyPy, which is 3.9.
compgen -G "$HOME/.pyenv/versions/3.[89].*/bin/python3" >/dev/null || command -v python3.8 python3.9 pypy3 >/dev/null || missing+=(pypy3)
[ "${#missing[@]}" -gt 0 ] || exit 0
if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
    echo "Tests against Debian's ${missing[*]} are left out: not installed here (as root: apt-get install ${missing[*]})."
    exit 0
fi

# The packages would start services on this machine; the tests start their own.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    trap 'rm -f "$policy"' EXIT
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod +x "$policy"
fi
export DEBIAN_FRONTEND=noninteractive
if ! { apt-get update --quiet && apt-get install --yes --quiet --no-install-recommends "${missing[@]}"; }; then
    echo "Tests against Debian's ${missing[*]} are left out: apt-get could not install them."
fi
