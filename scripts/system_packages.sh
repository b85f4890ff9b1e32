#!/bin/sh
# What pip cannot install: a broker, Prometheus, Alertmanager, Chromium and Java (which runs Kafka) for the tests, and venv where Debian splits it off.
# Installs what is missing when it is root on Debian; otherwise it says the command and goes on.
set -eu

missing=""
[ -x /usr/sbin/rabbitmq-server ] || command -v rabbitmq-server >/dev/null || missing="$missing rabbitmq-server"
command -v promtool >/dev/null || missing="$missing prometheus"
command -v amtool >/dev/null || missing="$missing prometheus-alertmanager"
command -v chromium >/dev/null || missing="$missing chromium"
command -v java >/dev/null || missing="$missing openjdk-17-jre-headless"
command -v mvn >/dev/null || missing="$missing maven"
"${PYTHON:-python3}" -c 'import ensurepip, venv' 2>/dev/null || missing="$missing python3-venv"
[ -n "$missing" ] || exit 0

if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "missing:$missing; install them with: sudo apt-get install$missing" >&2
    exit 0
fi

# The tests start servers of their own; the packages' would listen on every address of this machine.
if [ ! -e /usr/sbin/policy-rc.d ]; then
    printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
    chmod +x /usr/sbin/policy-rc.d
    trap 'rm -f /usr/sbin/policy-rc.d' EXIT INT TERM
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq >&2
# shellcheck disable=SC2086 # one word a package
apt-get install -y -qq --no-install-recommends $missing >&2

# Nor at the next boot.
command -v systemctl >/dev/null || exit 0
for unit in $missing; do
    systemctl disable --quiet "$unit" 2>/dev/null || true
done
