#!/bin/bash
# A static security scan of Terraform by checkov, in a virtual environment of its own (it pins what flowc's tools need in other versions).
set -euo pipefail
usage() { cat <<'U'
usage: scan.sh VERB
  build        checkov from PyPI; skips what exists
  scan DIR     every check that checkov has for Terraform; findings go to stdout
exit: 0 nothing found, 1 something found, 2 wrong use or not built
Environment:
  FLOWC_TF_HOME     all that is built; default ~/.cache/flowc-terraform
U
}
H=$(realpath -m "${FLOWC_TF_HOME:-${HOME:-/root}/.cache/flowc-terraform}")
CHECKOV=3.3.30 V=$H/checkov
die() { echo "scan.sh: $*" >&2; exit 2; }
build() {
  command -v python3 >/dev/null || die "python3 is needed"
  mkdir -p "$H"
  exec 9>>"$H/lock"; flock 9
  [ ! -e "$V/checkov-$CHECKOV" ] || return 0
  rm -rf "$V"; python3 -m venv "$V"
  "$V/bin/pip" install -q "checkov==$CHECKOV"; touch "$V/checkov-$CHECKOV"
}
scan() {
  [ -d "$1" ] || die "no such folder: $1"
  [ -e "$V/checkov-$CHECKOV" ] || die "not built yet: scan.sh build"
  local rc=0 out
  # no platform, no account, no policies from elsewhere
  out=$(env -u BC_API_KEY -u PRISMA_API_URL "$V/bin/checkov" -d "$1" --framework terraform --compact --quiet --skip-download --output cli 2>&1) || rc=$?
  grep -v 'Guide: ' <<<"$out" || true
  # what checkov cannot read it passes over, and calls that well
  if grep -q 'Parsing errors: [1-9]' <<<"$out"; then echo "scan.sh: some files could not be read" >&2; return 1; fi
  grep -q 'Passed checks: [1-9]' <<<"$out" || [ $rc != 0 ] || { echo "scan.sh: nothing was checked" >&2; return 1; }
  return $rc
}
case ${1:-} in
  build) build;;
  scan) [ $# = 2 ] || die "scan takes one folder"; scan "$2";;
  -h|--help|help) usage;;
  *) usage >&2; exit 2;;
esac
