# Sourced with $root set; $cairn_install_options may hold "--omit=dev". Installs dependencies on the first run and sets CAIRN_NODE to a
# Node of version 26 or later. Forks nothing on the warm path: a fork costs milliseconds of every start.

# Not "npm ci": it refuses a lock file in which an optional package for another platform is missing, and some registries lack those.
# "npm install --no-save" keeps to the lock file as well and leaves it as it is.
cairn_install() {
  if ! command -v npm >/dev/null 2>&1; then
    echo "cairn: cannot install its dependencies: npm is not on PATH; nothing was changed; install Node.js with npm (any version from 20) and run this again" >&2
    exit 1
  fi
  echo "cairn: installing dependencies (first run)" >&2
  if ! (cd "$root" && npm install --no-save ${cairn_install_options:-} --no-progress --loglevel=error >&2); then
    echo "cairn: npm install failed; nothing else was changed; see its message above and run this again" >&2
    exit 1
  fi
  : >"$root/node_modules/$cairn_marker"
}

cairn_marker=.cairn-installed
if [ -n "${cairn_install_options:-}" ] && [ ! -e "$root/node_modules/$cairn_marker" ]; then
  cairn_marker=.cairn-installed-without-dev
fi
if [ ! -e "$root/node_modules/$cairn_marker" ] || [ "$root/package-lock.json" -nt "$root/node_modules/$cairn_marker" ]; then
  cairn_install
fi

CAIRN_NODE=
for candidate in "$root"/node_modules/node-*/bin/node; do
  if [ -x "$candidate" ]; then CAIRN_NODE=$candidate; fi
done
if [ -z "$CAIRN_NODE" ] && command -v node >/dev/null 2>&1; then
  case $(node --version) in
    v2[6-9].* | v[3-9][0-9].*) CAIRN_NODE=$(command -v node) ;;
  esac
fi
if [ -z "$CAIRN_NODE" ]; then
  echo "cairn: needs Node.js 26 or later, and no pinned build of it exists for this platform; nothing was changed; install Node.js 26 and run this again" >&2
  exit 1
fi
PATH=${CAIRN_NODE%/*}:$PATH
export PATH
NODE_COMPILE_CACHE=${NODE_COMPILE_CACHE:-$root/node_modules/.cache/compile}
export NODE_COMPILE_CACHE
